"""What has no running checkout: redeliveries, sessions of no order, orphaned orders."""

from dataclasses import replace

import pytest

from checkout.orders import OrderStatus, Reason
from checkout.sessions import ProviderSession, SessionStatus
from tests.support.lab import Lab
from tests.support.provider import times


async def orphaned(lab: Lab) -> tuple[str, str]:
    """An order whose workflow an operator terminated."""
    handle, order, session_id = await lab.opened()
    await handle.terminate("by hand")
    return order.order_id, session_id


async def test_a_redelivery_for_a_fulfilled_order_changes_nothing(lab: Lab) -> None:
    _, order, session_id = await lab.paid()
    result = await lab.settle(session_id)
    assert result is not None
    assert result.status in (OrderStatus.FULFILLED, OrderStatus.DISPATCHED)
    assert lab.provider.refunded == []
    assert (await lab.kinds(order.order_id)).count("fulfilled") == 1


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
    foreign = ProviderSession("cs_foreign", SessionStatus.OPEN, False, 500, "usd", order_id="ord_unknown")
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
