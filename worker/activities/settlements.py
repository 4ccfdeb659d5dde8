"""Have an order or a session settled: one that a workflow hands on, or that the sweep finds nobody look after."""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from checkout.contracts import SettlementInput, StartSettlementInput, SweepResult
from checkout.ids import settlement_workflow_id
from db import ledger, order_queries
from db.ledger import DuePayment
from db.order_queries import UnsettledOrder
from runtime.failpoints import Step, around
from worker import warehouse
from worker.looked_after import is_looked_after, running_workflows, without_live_order

logger = logging.getLogger("worker")

# How many are handed on in one sweep; the rest is left for the next.
BATCH = 500
_HEALTH_TIMEOUT = timedelta(seconds=2)


class SettlementActivities:
    """`start` is `Starter.settlement`. `grace` in seconds: an order younger than that may simply not have been reached
    yet. `listing` returns the ids of the workflows that run, and may lag."""

    def __init__(
        self,
        engine: AsyncEngine,
        client: Client,
        start: Callable[[StartSettlementInput], Awaitable[None]],
        *,
        grace: float,
        batch: int = BATCH,
        listing: Callable[[Client], Awaitable[set[str]]] = running_workflows,
    ) -> None:
        self._engine, self._client, self._start = engine, client, start
        self._grace, self._batch, self._listing = timedelta(seconds=grace), batch, listing

    @activity.defn
    @around(Step.HAND_ON_SESSION)
    async def start_settlement(self, request: StartSettlementInput) -> None:
        """Start it, or have the one that runs look again."""
        await self._start(request)

    @activity.defn
    @around(Step.SWEEP)
    async def sweep_orders(self) -> SweepResult:
        """Start a settlement for each live order without a running workflow, and for each payment that is due to be
        looked at; dispatch what is overdue, wake checkouts whose orders have ended."""
        dispatched = await warehouse.dispatch(self._engine, overdue=self._grace)
        async with self._engine.connect() as connection:
            live = await order_queries.live_orders(connection, self._grace)
            payments = await ledger.due_payments(connection, self._batch)
        # One listing instead of a question an order. It may lag, so an order it misses is asked for by id.
        running = await self._listing(self._client)
        settlements = 0
        for payment in payments:
            async with self._apart(payment.order_id, payment.payment_intent_id):
                await self._have_looked_at(payment, running)
        for orphan in live:
            async with self._apart(orphan.order_id):
                if await is_looked_after(self._client, orphan, running):
                    continue
                activity.heartbeat(orphan.order_id)
                await self._settle(orphan)
                settlements += 1
            if settlements == self._batch:
                break
        await self._wake(without_live_order(running, live))
        return SweepResult(len(live), settlements, dispatched, len(payments))

    @around(Step.FOLLOW_PAYMENT)
    async def _have_looked_at(self, payment: DuePayment, running: set[str]) -> None:
        """A refund on its way, a dispute, a bank debit: their events may have been lost. A repeat is one event."""
        event_id = f"sweep/{payment.payment_intent_id}/{payment.look_at.timestamp():.0f}"
        if payment.is_awaited:
            handle = self._client.get_workflow_handle(str(payment.checkout_key))
            with contextlib.suppress(RPCError):  # without a checkout, the order is an orphan
                await handle.signal("payment_event", event_id)
        if settlement_workflow_id(payment.payment_intent_id) in running:
            return  # it is being looked at, for as long as the provider may refuse to speak
        because = f"Payment {payment.payment_intent_id} is due to be looked at"
        settlement = SettlementInput(payment_intent_id=payment.payment_intent_id)
        await self._start(StartSettlementInput(settlement, event_id, because))

    async def _wake(self, suspects: set[str]) -> None:
        """After a restore of Temporal's store, checkouts wait for a payment that came, or a session that expired, long
        ago: those of the suspects whose orders have ended ask the provider, and end as well."""
        if not suspects:
            return
        async with self._engine.connect() as connection:
            ended = await order_queries.ended_keys(connection, suspects)
        for key in ended[: self._batch]:
            with contextlib.suppress(RPCError):  # it has ended meanwhile, or the next sweep wakes it
                await self._client.get_workflow_handle(key).signal("payment_event", f"sweep/{key}")

    @contextlib.asynccontextmanager
    async def _apart(self, order_id: str | None, payment_intent_id: str | None = None) -> AsyncIterator[None]:
        """Whatever is wrong with one order, the others get their turn. Raises only when Temporal itself is away."""
        try:
            yield
        except Exception as error:
            await self._client.service_client.check_health(timeout=_HEALTH_TIMEOUT)
            told = "Order %s, payment %s: needs attention: the sweep cannot look after it: %r"
            logger.error(told, order_id, payment_intent_id, error)

    @around(Step.HAND_TO_SETTLEMENT)
    async def _settle(self, order: UnsettledOrder) -> None:
        settlement = SettlementInput(session_id=order.session_id, order_id=order.order_id)
        because = f"Orphaned order {order.order_id}"
        await self._start(StartSettlementInput(settlement, f"sweep/{order.order_id}", because))
