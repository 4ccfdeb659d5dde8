"""Act on a checkout under test: as customer, as payment service, as operator."""

import asyncio
import contextlib
import uuid
from collections.abc import Iterable
from datetime import timedelta
from itertools import islice
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from checkout.contracts import CheckoutInput, CheckoutResult, PaymentSessionView, SessionProgress, SettlementInput
from checkout.ids import settlement_workflow_id
from checkout.orders import CartLine, Order, OrderStatus, cart_fingerprint
from db import order_queries
from db.audit import audit_ledgers
from db.invariants import Finding
from runtime.search_attributes import SEARCH_ATTRIBUTES
from tests.support.eventually import eventually
from tests.support.provider import FakeProvider
from worker import warehouse
from worker.workflows.checkout import CheckoutWorkflow
from worker.workflows.settlement import SettlementWorkflow

PEN = [CartLine("pen", 1)]
Handle = WorkflowHandle[CheckoutWorkflow, CheckoutResult]


class Lab:
    """`timeout` is the payment timeout in (skipped) seconds."""

    def __init__(self, environment: WorkflowEnvironment, engine: AsyncEngine, provider: FakeProvider) -> None:
        self.environment, self.client = environment, environment.client
        self.engine, self.provider = engine, provider
        self.task_queue = f"test-{uuid.uuid4()}"

    @staticmethod
    async def register_search_attributes(client: Client) -> None:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                search_attributes={key.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD for key in SEARCH_ATTRIBUTES},
                namespace=client.namespace,
            )
        )

    async def start(
        self, *, key: str | None = None, lines: list[CartLine] | None = None, timeout: float = 900.0
    ) -> Handle:
        lines = lines or PEN
        key = key or f"key-{uuid.uuid4()}"
        return await self.client.start_workflow(
            CheckoutWorkflow.run,
            CheckoutInput(key, lines, cart_fingerprint(lines, None), timeout),
            id=key,
            task_queue=self.task_queue,
            task_timeout=timedelta(seconds=10),
        )

    async def settle(self, session_id: str | None, order_id: str | None = None) -> CheckoutResult | None:
        """What a webhook without a running checkout, or the sweep, sets going."""
        return await self.client.execute_workflow(
            SettlementWorkflow.run,
            SettlementInput(session_id, order_id),
            id=settlement_workflow_id(session_id or str(order_id)),
            task_queue=self.task_queue,
        )

    async def view(self, handle: Handle) -> PaymentSessionView:
        return await handle.query(CheckoutWorkflow.payment_session)

    async def ready(self, handle: Handle, within: float = 20.0) -> Order:
        """The order, once its session can be paid or it is closed. In real time: nothing is skipped."""

        async def look() -> Order | None:
            view = await self.view(handle)
            return None if view.progress is SessionProgress.OPENING else view.order

        order = await eventually(look, within=within, what="the session")
        assert order is not None
        return order

    async def opened(self, **start: Any) -> tuple[Handle, Order, str]:
        """A checkout that waits for its payment: handle, order and session id."""
        handle = await self.start(**start)
        order = await self.ready(handle)
        assert order.session is not None
        return handle, order, order.session.session_id

    async def tell(self, handle: Handle, event_id: str | None = None) -> None:
        """The webhook: the provider has news."""
        await handle.signal(CheckoutWorkflow.payment_event, event_id or f"evt_{uuid.uuid4()}")

    async def until_pending(self, handle: WorkflowHandle[Any, Any], activity: str) -> None:
        """A regular activity of that name is being retried."""

        async def look() -> bool:
            with contextlib.suppress(RPCError):  # it has not begun
                description = await self.client.get_workflow_handle(handle.id).describe()
                return any(one.activity_type.name == activity for one in description.raw_description.pending_activities)
            return False

        await eventually(look, what=f"{activity} being retried")

    async def flood(self, handle: Handle, event_ids: Iterable[str]) -> None:
        """The webhook, again and again, many at a time."""
        waiting = iter(event_ids)
        while some := list(islice(waiting, 50)):
            await asyncio.gather(*(self.tell(handle, event_id) for event_id in some))

    async def paid(self, **start: Any) -> tuple[Handle, Order, str]:
        """A checkout that was paid and has ended."""
        handle, order, session_id = await self.opened(**start)
        self.provider.pay(session_id)
        await self.tell(handle)
        await handle.result()
        return handle, order, session_id

    async def cancelled(self) -> tuple[str, str]:
        """An order the customer gave up: order id and session id."""
        handle, order, session_id = await self.opened()
        await handle.signal(CheckoutWorkflow.cancel)
        await handle.result()
        return order.order_id, session_id

    async def dispatched(self, order_id: str) -> None:
        """Wait until the order has left, in real time: a dispatch takes none here."""

        async def has_left() -> bool:
            await warehouse.dispatch(self.engine)
            return (await self.order(order_id)).status is OrderStatus.DISPATCHED

        await eventually(has_left, what="the dispatch")

    async def continued_as_new(self, handle: WorkflowHandle[Any, Any], within: float = 20.0) -> None:
        """Wait for the next run: this test server, unlike the real one, refuses signals between two runs."""

        async def has_next() -> bool:
            latest = await self.client.get_workflow_handle(handle.id).describe()
            return latest.run_id != handle.first_execution_run_id

        await eventually(has_next, within=within, what="the next run")

    async def order(self, order_id: str) -> Order:
        async with self.engine.connect() as connection:
            return await order_queries.get_order(connection, order_id)

    async def view_order(self, checkout_key: str) -> Order:
        """The order under a key."""
        async with self.engine.connect() as connection:
            order = await order_queries.find_by_key(connection, checkout_key)
        assert order is not None
        return order

    async def on_hand(self, sku: str = "pen") -> int:
        async with self.engine.connect() as connection:
            statement = text("SELECT on_hand FROM shop.products WHERE sku = :sku")
            return int((await connection.execute(statement, {"sku": sku})).scalar_one())

    async def kinds(self, order_id: str) -> list[str]:
        """The order's timeline."""
        async with self.engine.connect() as connection:
            statement = text("SELECT kind FROM shop.order_events WHERE order_id = :id ORDER BY seq")
            return [str(row[0]) for row in await connection.execute(statement, {"id": order_id})]

    async def violations(self) -> list[Finding]:
        """What the auditor finds in the shop's own ledger."""
        async with self.engine.connect() as connection:
            return [finding for finding in await audit_ledgers(connection, timedelta(0)) if finding.violations]
