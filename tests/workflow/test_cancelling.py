"""Whoever gives a checkout up, customer or operator: the session is closed first, and money that has come wins."""

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError

from checkout.orders import OrderStatus, Reason
from checkout.sessions import SessionStatus
from tests.support.eventually import eventually
from tests.support.lab import Lab
from tests.support.provider import times
from worker.workflows.checkout import CheckoutWorkflow


async def test_a_customer_who_cancels_gets_the_session_closed_before_the_stock_returns(lab: Lab) -> None:
    handle, _, session_id = await lab.opened()
    stock_when_expired: list[SessionStatus] = []
    lab.provider.on_expire = lambda session: stock_when_expired.append(lab.provider.sessions[session].status)
    await handle.signal(CheckoutWorkflow.cancel)
    result = await handle.result()
    assert (result.status, result.reason) == (OrderStatus.CANCELLED, Reason.CUSTOMER)
    assert stock_when_expired == [SessionStatus.OPEN]
    assert lab.provider.sessions[session_id].status is SessionStatus.EXPIRED
    assert await lab.on_hand() == 100_000


async def test_a_cancel_after_the_payment_changes_nothing(lab: Lab) -> None:
    handle, _, session_id = await lab.opened()
    lab.provider.pay(session_id)
    await handle.signal(CheckoutWorkflow.cancel)
    assert (await handle.result()).status is OrderStatus.FULFILLED


async def test_a_session_closed_at_the_provider_ends_the_order_at_once(lab: Lab) -> None:
    handle, _, session_id = await lab.opened()
    await lab.provider.expire_session(session_id)
    await lab.tell(handle)
    result = await handle.result()
    assert (result.status, result.reason) == (OrderStatus.CANCELLED, Reason.CUSTOMER)


async def test_cancelled_in_the_ui_while_it_waits_settles_and_then_shows_as_cancelled(lab: Lab) -> None:
    handle, order, session_id = await lab.opened()
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    assert isinstance(failure.value.cause, CancelledError)
    ended = await lab.order(order.order_id)
    assert (ended.status, ended.reason) == (OrderStatus.CANCELLED, Reason.OPERATOR)
    assert lab.provider.sessions[session_id].status is SessionStatus.EXPIRED
    assert await lab.on_hand() == 100_000


async def test_cancelled_in_the_ui_after_the_payment_fulfils_and_completes(lab: Lab) -> None:
    handle, _, session_id = await lab.opened()
    lab.provider.pay(session_id)
    await handle.cancel()
    assert (await handle.result()).status is OrderStatus.FULFILLED
    assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED


async def test_cancelled_in_the_ui_while_the_session_is_being_opened_leaves_no_payable_session(lab: Lab) -> None:
    lab.provider.fail["create"] = times(3)
    handle = await lab.start()
    await eventually(lambda: "create" in lab.provider.calls)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert [state.status for state in lab.provider.sessions.values()] == [SessionStatus.EXPIRED]
    assert await lab.on_hand() == 100_000


async def test_the_deadline_closes_the_session_while_the_stock_is_still_held(lab: Lab) -> None:
    """Expire first: at the moment the provider is asked, the order has given nothing back."""
    handle, order, session_id = await lab.opened()
    stock: list[int] = []

    def look(_: str) -> None:
        stock.append(lab.provider.calls.count("expire"))
        if not lab.provider.sessions[session_id].paid:
            lab.provider.pay(session_id)

    lab.provider.on_expire = look
    await handle.signal(CheckoutWorkflow.cancel)
    assert (await handle.result()).status is OrderStatus.FULFILLED
    assert stock == [1]
    assert lab.provider.sessions[session_id].status is SessionStatus.COMPLETE
    assert lab.provider.refunded == []
    assert (await lab.kinds(order.order_id))[:4] == ["reserved", "awaiting_payment", "paid", "fulfilled"]
