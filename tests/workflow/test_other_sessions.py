"""Events under a checkout's key about a session that is not its own: none is forgotten, whenever it comes."""

import contextlib
from typing import Any

from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError

from checkout.ids import settlement_workflow_id
from checkout.orders import OrderStatus
from checkout.sessions import ProviderSession, SessionStatus
from tests.support.eventually import eventually
from tests.support.lab import Handle, Lab
from tests.support.provider import always
from worker import policies
from worker.workflows.checkout import CheckoutWorkflow

OTHER = "cs_other"


async def hear_of_other(lab: Lab, handle: Handle, event_id: str) -> None:
    await handle.signal(CheckoutWorkflow.payment_event, args=[event_id, OTHER])


def pay_other(lab: Lab, **changes: object) -> None:
    lab.provider.sessions[OTHER] = ProviderSession(OTHER, SessionStatus.OPEN, False, 700, "usd", None)
    lab.provider.force_pay(OTHER, **changes)


async def until_told(settlement: WorkflowHandle[Any, Any]) -> None:
    async def look() -> bool:
        history = await settlement.fetch_history()
        return any(one.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED for one in history.events)

    await eventually(look, what="the settlement being told")


async def until_given_back(lab: Lab) -> None:
    await eventually(lambda: lab.provider.refunded == [f"pi_{OTHER}"], what="the other session's money back")
    await lab.client.get_workflow_handle(settlement_workflow_id(OTHER)).result()  # and written down


async def test_one_that_comes_while_the_last_news_are_looked_at(lab: Lab) -> None:
    handle, order, _ = await lab.opened()
    async with lab.engine.begin() as connection:
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text("SELECT 1 FROM shop.products FOR UPDATE"))
        await handle.signal(CheckoutWorkflow.cancel)
        await lab.until_pending(handle, "release_order")
        lab.provider.fail["retrieve"] = always(ConnectionError("away"))
        await lab.tell(handle)
    await lab.until_pending(handle, "retrieve_session")
    assert (await lab.order(order.order_id)).status is OrderStatus.CANCELLED
    pay_other(lab)
    await hear_of_other(lab, handle, "evt_other")
    lab.provider.fail.clear()
    await handle.result()
    await until_given_back(lab)


async def test_one_that_was_complete_but_unpaid_and_is_paid_later(lab: Lab) -> None:
    handle, _, _ = await lab.opened()
    pay_other(lab, paid=False)
    await hear_of_other(lab, handle, "evt_completed")
    settlement = lab.client.get_workflow_handle(settlement_workflow_id(OTHER))

    async def has_ended() -> bool:
        with contextlib.suppress(RPCError):  # it has not begun
            return (await settlement.describe()).status is WorkflowExecutionStatus.COMPLETED
        return False

    await eventually(has_ended, what="the first settlement")
    pay_other(lab)
    await hear_of_other(lab, handle, "evt_async_payment_succeeded")
    await until_given_back(lab)
    await handle.signal(CheckoutWorkflow.cancel)
    await handle.result()


async def test_one_that_is_paid_while_its_settlement_runs_on_what_it_saw_before(lab: Lab) -> None:
    handle, order, _ = await lab.opened()
    pay_other(lab, paid=False, order_id=order.order_id)
    settlement = lab.client.get_workflow_handle(settlement_workflow_id(OTHER))
    async with lab.engine.begin() as connection:
        # It has looked at the session, and now waits for the order it names.
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text("LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE"))
        await hear_of_other(lab, handle, "evt_completed")
        await lab.until_pending(settlement, "find_order")
        pay_other(lab, order_id=order.order_id)
        await hear_of_other(lab, handle, "evt_async_payment_succeeded")
        await until_told(settlement)
    await until_given_back(lab)
    await handle.signal(CheckoutWorkflow.cancel)
    await handle.result()


async def test_one_that_comes_after_a_flood(lab: Lab) -> None:
    handle, _, _ = await lab.opened()
    lab.provider.fail["retrieve"] = always(ConnectionError("away"))
    await lab.flood(handle, (f"evt_{number}" for number in range(policies.MAX_EVENTS_PER_RUN)))
    await lab.until_pending(handle, "ask_provider")
    pay_other(lab)
    await hear_of_other(lab, handle, "evt_other")
    lab.provider.fail.clear()
    await until_given_back(lab)
    await lab.continued_as_new(handle)
    await handle.signal(CheckoutWorkflow.cancel)
    await handle.result()
