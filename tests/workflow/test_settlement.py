"""What has no running checkout: late money, redeliveries, foreign sessions, orphaned orders; refunds and dispatch."""

from dataclasses import replace

import pytest
from temporalio.client import WorkflowFailureError

from checkout.contracts import RefundOrderInput
from checkout.errors import PaymentRefused, PaymentUnknown
from checkout.ids import refund_workflow_id
from checkout.orders import CartLine, OrderStatus, Reason
from checkout.payments import SessionState, SessionStatus
from db import orders
from tests.support.lab import Lab
from tests.support.provider import times
from worker import warehouse
from worker.workflows.checkout import CheckoutWorkflow
from worker.workflows.refund import RefundWorkflow


async def cancelled(lab: Lab) -> tuple[str, str]:
    """An order the customer gave up: order id and session id."""
    handle, order, session_id = await lab.opened()
    await handle.signal(CheckoutWorkflow.cancel)
    await handle.result()
    return order.order_id, session_id


async def orphaned(lab: Lab) -> tuple[str, str]:
    """An order whose workflow an operator terminated."""
    handle, order, session_id = await lab.opened()
    await handle.terminate("by hand")
    return order.order_id, session_id


async def test_money_after_the_cancel_is_given_back_once_however_often_it_is_told(lab: Lab) -> None:
    order_id, session_id = await cancelled(lab)
    lab.provider.force_pay(session_id)
    for _ in range(3):
        result = await lab.settle(session_id)
        assert result is not None
        assert (result.status, result.reason) == (OrderStatus.REFUNDED, Reason.LATE_PAYMENT)
    assert lab.provider.refunded == [f"pi_{session_id}"]
    assert (await lab.kinds(order_id)).count("refunded") == 1
    assert await lab.on_hand() == 100_000


async def test_an_ended_orders_own_session_is_not_taken_for_unknown(lab: Lab) -> None:
    """A key of another account, say, is told that there is no such session: the money lies there all the same."""
    order_id, session_id = await cancelled(lab)
    lab.provider.force_pay(session_id)
    lab.provider.fail["retrieve"] = times(3, PaymentUnknown("no such session"))
    result = await lab.settle(session_id, order_id)
    assert result is not None
    assert (result.status, result.reason) == (OrderStatus.REFUNDED, Reason.LATE_PAYMENT)


async def test_a_redelivery_for_a_fulfilled_order_changes_nothing(lab: Lab) -> None:
    _, order, session_id = await lab.paid()
    result = await lab.settle(session_id)
    assert result is not None
    assert result.status in (OrderStatus.FULFILLED, OrderStatus.DISPATCHED)
    assert lab.provider.refunded == []
    assert (await lab.kinds(order.order_id)).count("fulfilled") == 1


@pytest.mark.parametrize("by_order", [True, False])
async def test_money_given_back_at_the_provider_ends_the_order_as_refunded(lab: Lab, by_order: bool) -> None:
    _, order, session_id = await lab.paid()
    await lab.dispatched(order.order_id)
    lab.provider.refunded.append(f"pi_{session_id}")
    for _ in range(2):
        result = await (lab.settle(None, order.order_id) if by_order else lab.settle(session_id))
        assert result is not None
        assert (result.status, result.reason) == (OrderStatus.REFUNDED, Reason.OPERATOR)
    assert lab.provider.refunded == [f"pi_{session_id}"]
    assert (await lab.kinds(order.order_id)).count("refunded") == 1
    assert await lab.on_hand() == 100_000


async def test_a_kept_order_of_which_the_provider_knows_nothing_stays_as_it_is(lab: Lab) -> None:
    """The shop has moved to another account, say."""
    _, order, session_id = await lab.paid()
    del lab.provider.sessions[session_id]
    result = await lab.settle(None, order.order_id)
    assert result is not None
    assert result.status.is_kept


async def test_a_payment_of_which_the_provider_knows_nothing_was_not_given_back(lab: Lab) -> None:
    _, order, _ = await lab.paid()
    lab.provider.fail["look for refund"] = times(1_000, PaymentUnknown("no such payment"))
    result = await lab.settle(None, order.order_id)
    assert result is not None
    assert result.status.is_kept


async def test_a_provider_that_is_away_is_asked_about_a_refund_until_it_answers(lab: Lab) -> None:
    _, order, session_id = await lab.paid()
    lab.provider.refunded.append(f"pi_{session_id}")
    lab.provider.fail["look for refund"] = times(3)
    result = await lab.settle(None, order.order_id)
    assert result is not None
    assert result.status is OrderStatus.REFUNDED


async def test_an_orphaned_order_that_was_paid_is_fulfilled(lab: Lab) -> None:
    order_id, session_id = await orphaned(lab)
    lab.provider.pay(session_id)
    result = await lab.settle(session_id)
    assert result is not None
    assert result.status is OrderStatus.FULFILLED
    await lab.dispatched(order_id)
    assert (await lab.order(order_id)).status is OrderStatus.DISPATCHED


async def test_an_orphan_that_was_paid_before_is_fulfilled_without_waiting_for_another_event(lab: Lab) -> None:
    order_id, session_id = await orphaned(lab)
    lab.provider.pay(session_id)
    with lab.environment.auto_time_skipping_disabled():
        result = await lab.settle(None, order_id)
    assert result is not None
    assert result.status is OrderStatus.FULFILLED


async def test_an_orphaned_order_that_nobody_pays_ends_at_its_deadline(lab: Lab) -> None:
    order_id, session_id = await orphaned(lab)
    result = await lab.settle(session_id, order_id)
    assert result is not None
    assert (result.status, result.reason) == (OrderStatus.CANCELLED, Reason.TIMEOUT)
    assert lab.provider.sessions[session_id].status is SessionStatus.EXPIRED


async def test_an_order_orphaned_before_its_session_was_recorded_leaves_none_payable(lab: Lab) -> None:
    """The session was created and its reply lost, then the workflow was terminated: the settlement finds it."""
    lab.provider.lose_reply["create"] = times(1_000_000)
    # In real time: the test server never skips time again once a workflow was terminated in mid-activity.
    handle = await lab.start(timeout=2)
    await lab.provider.created.wait()
    await handle.terminate()
    order = await lab.view_order(handle.id)
    del lab.provider.lose_reply["create"]
    result = await lab.settle(None, order.order_id)
    assert result is not None
    assert (result.status, result.reason) == (OrderStatus.CANCELLED, Reason.TIMEOUT)
    assert [state.status for state in lab.provider.sessions.values()] == [SessionStatus.EXPIRED]


@pytest.mark.parametrize("paid", [True, False])
async def test_a_session_of_no_order_is_closed_and_its_money_given_back(lab: Lab, paid: bool) -> None:
    foreign = SessionState("cs_foreign", SessionStatus.OPEN, False, 500, "usd", order_id="ord_unknown")
    lab.provider.sessions["cs_foreign"] = foreign
    if paid:
        lab.provider.pay("cs_foreign")
    assert await lab.settle("cs_foreign") is None
    assert lab.provider.refunded == (["pi_cs_foreign"] if paid else [])
    assert lab.provider.sessions["cs_foreign"].status is (SessionStatus.COMPLETE if paid else SessionStatus.EXPIRED)


async def test_a_second_session_of_a_live_order_is_given_back_and_the_first_goes_on(lab: Lab) -> None:
    handle, order, session_id = await lab.opened()
    own = lab.provider.sessions[session_id]
    lab.provider.sessions["cs_second"] = replace(own, session_id="cs_second", payment_intent_id=None)
    lab.provider.pay("cs_second")
    with lab.environment.auto_time_skipping_disabled():
        assert await lab.settle("cs_second") is None
    assert lab.provider.refunded == ["pi_cs_second"]
    assert (await lab.order(order.order_id)).status is OrderStatus.AWAITING_PAYMENT
    lab.provider.pay(session_id)
    await lab.tell(handle)
    assert (await handle.result()).status is OrderStatus.FULFILLED


async def test_a_session_the_provider_does_not_know_is_let_go(lab: Lab) -> None:
    assert await lab.settle("cs_invented") is None


async def test_a_provider_that_is_away_is_asked_until_the_refund_is_made(lab: Lab) -> None:
    _, session_id = await cancelled(lab)
    lab.provider.force_pay(session_id)
    lab.provider.fail["refund"] = times(3)
    lab.provider.lose_reply["refund"] = times(2)
    result = await lab.settle(session_id)
    assert result is not None
    assert result.status is OrderStatus.REFUNDED
    assert lab.provider.refunded == [f"pi_{session_id}"]


async def test_a_refund_that_the_provider_refuses_is_asked_for_until_it_is_made(lab: Lab) -> None:
    """Somebody must mend the key or the account; until then the money is not forgotten."""
    _, session_id = await cancelled(lab)
    lab.provider.force_pay(session_id)
    lab.provider.fail["refund"] = times(3, PaymentRefused("401"))
    result = await lab.settle(session_id)
    assert result is not None
    assert result.status is OrderStatus.REFUNDED


async def test_the_refund_of_a_foreign_session_is_not_forgotten_either(lab: Lab) -> None:
    lab.provider.sessions["cs_foreign"] = SessionState("cs_foreign", SessionStatus.OPEN, False, 500, "usd")
    lab.provider.pay("cs_foreign")
    lab.provider.fail["refund"] = times(2, PaymentRefused("401"))
    assert await lab.settle("cs_foreign") is None
    assert lab.provider.refunded == ["pi_cs_foreign"]


async def test_money_for_an_order_that_another_hand_has_cancelled_is_given_back_though_refused_at_first(
    lab: Lab,
) -> None:
    handle, order, session_id = await lab.opened()
    async with lab.engine.begin() as connection:
        await orders.close_order(
            connection, order.order_id, OrderStatus.CANCELLED, Reason.OPERATOR, closes=[OrderStatus.AWAITING_PAYMENT]
        )
    lab.provider.pay(session_id)
    lab.provider.fail["refund"] = times(2, PaymentRefused("401"))
    await lab.tell(handle)
    result = await handle.result()
    assert (result.status, result.reason) == (OrderStatus.REFUNDED, Reason.LATE_PAYMENT)


async def refund(lab: Lab, order_id: str) -> OrderStatus:
    result = await lab.client.execute_workflow(
        RefundWorkflow.run, RefundOrderInput(order_id), id=refund_workflow_id(order_id), task_queue=lab.task_queue
    )
    return result.status


async def test_an_operators_refund_gives_money_and_stock_back_once(lab: Lab) -> None:
    _, order, session_id = await lab.paid(lines=[CartLine("limited-print", 3)])
    for _ in range(2):
        assert await refund(lab, order.order_id) is OrderStatus.REFUNDED
    assert lab.provider.refunded == [f"pi_{session_id}"]
    assert await lab.on_hand("limited-print") == 10


async def test_an_order_refunded_before_it_was_dispatched_is_not_dispatched(lab: Lab) -> None:
    _, order, _ = await lab.paid()
    await refund(lab, order.order_id)
    assert await warehouse.dispatch(lab.engine) == 0
    assert (await lab.order(order.order_id)).status is OrderStatus.REFUNDED


async def test_what_was_not_paid_cannot_be_refunded(lab: Lab) -> None:
    _, order, _ = await lab.opened()
    with pytest.raises(WorkflowFailureError):
        await refund(lab, order.order_id)
    assert lab.provider.refunded == []
