"""Money given back: by the operator, by the shop, past the shop; owed until it is made, and made once."""

import pytest
from temporalio.client import WorkflowFailureError

from checkout.contracts import RefundOrderInput, SettlementInput
from checkout.errors import PaymentRefused, PaymentUnknown
from checkout.ids import refund_workflow_id, settlement_workflow_id
from checkout.orders import CartLine, OrderStatus, Reason
from checkout.sessions import ProviderSession, SessionStatus
from tests.support.eventually import eventually
from tests.support.lab import Lab
from tests.support.provider import times
from worker import warehouse
from worker.workflows.refund import RefundWorkflow
from worker.workflows.settlement import SettlementWorkflow


@pytest.mark.parametrize("by_order", [True, False])
async def test_money_given_back_at_the_provider_ends_the_order_as_refunded(lab: Lab, by_order: bool) -> None:
    _, order, session_id = await lab.paid()
    await lab.dispatched(order.order_id)
    lab.provider.refund_elsewhere(f"pi_{session_id}")
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
    lab.provider.fail["look at payment"] = times(1_000, PaymentUnknown("no such payment"))
    result = await lab.settle(None, order.order_id)
    assert result is not None
    assert result.status.is_kept


async def test_a_payment_that_its_order_does_not_know_yet_is_waited_for_in_the_workflow(lab: Lab) -> None:
    """In a timer, bounded by continue-as-new: so the first release waits too, whose workers may take this one over."""
    checkout, order, session_id = await lab.opened()
    lab.provider.pay(session_id)
    lab.provider.refund_elsewhere(f"pi_{session_id}")
    settlement = await lab.client.start_workflow(
        SettlementWorkflow.run,
        SettlementInput(payment_intent_id=f"pi_{session_id}"),
        id=settlement_workflow_id(f"pi_{session_id}"),
        task_queue=lab.task_queue,
    )

    async def waits() -> bool:
        history = await settlement.fetch_history()
        return any(event.HasField("timer_started_event_attributes") for event in history.events)

    await eventually(waits, what="the timer")
    await lab.tell(checkout)
    result = await settlement.result()
    assert result is not None
    assert (result.order_id, result.status) == (order.order_id, OrderStatus.REFUNDED)


async def test_a_provider_that_is_away_is_asked_about_a_refund_until_it_answers(lab: Lab) -> None:
    _, order, session_id = await lab.paid()
    lab.provider.refund_elsewhere(f"pi_{session_id}")
    lab.provider.fail["look at payment"] = times(3)
    result = await lab.settle(None, order.order_id)
    assert result is not None
    assert result.status is OrderStatus.REFUNDED


async def test_a_provider_that_is_away_is_asked_until_the_refund_is_made(lab: Lab) -> None:
    _, session_id = await lab.cancelled()
    lab.provider.force_pay(session_id)
    lab.provider.fail["refund"] = times(3)
    lab.provider.lose_reply["refund"] = times(2)
    result = await lab.settle(session_id)
    assert result is not None
    assert result.status is OrderStatus.REFUNDED
    assert lab.provider.refunded == [f"pi_{session_id}"]


async def test_a_refund_that_the_provider_refuses_is_asked_for_until_it_is_made(lab: Lab) -> None:
    """Somebody must mend the key or the account; until then the money is not forgotten."""
    _, session_id = await lab.cancelled()
    lab.provider.force_pay(session_id)
    lab.provider.fail["refund"] = times(3, PaymentRefused("401"))
    result = await lab.settle(session_id)
    assert result is not None
    assert result.status is OrderStatus.REFUNDED


async def test_the_refund_of_a_foreign_session_is_not_forgotten_either(lab: Lab) -> None:
    lab.provider.sessions["cs_foreign"] = ProviderSession("cs_foreign", SessionStatus.OPEN, False, 500, "usd")
    lab.provider.pay("cs_foreign")
    lab.provider.fail["refund"] = times(2, PaymentRefused("401"))
    assert await lab.settle("cs_foreign") is None
    assert lab.provider.refunded == ["pi_cs_foreign"]


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


async def refund(lab: Lab, order_id: str) -> OrderStatus:
    await lab.client.execute_workflow(
        RefundWorkflow.run, RefundOrderInput(order_id), id=refund_workflow_id(order_id), task_queue=lab.task_queue
    )
    return (await lab.order(order_id)).status
