"""Every branch of the checkout's story."""

import pytest
from temporalio.client import WorkflowFailureError

from checkout.contracts import SessionProgress
from checkout.orders import CartLine, OrderStatus, Reason
from checkout.sessions import SessionStatus
from tests.support.eventually import eventually
from tests.support.lab import Lab


async def test_a_paid_checkout_is_fulfilled_and_then_dispatched(lab: Lab) -> None:
    handle, order, _ = await lab.paid()
    assert (await handle.result()).status is OrderStatus.FULFILLED
    assert await lab.on_hand() == 99_999
    await lab.dispatched(order.order_id)
    assert await lab.kinds(order.order_id) == ["reserved", "awaiting_payment", "paid", "fulfilled", "dispatched"]


async def test_the_query_tells_the_session_while_it_waits_and_after_the_end(lab: Lab) -> None:
    handle, order, session_id = await lab.paid()
    view = await lab.view(handle)
    assert (view.progress, view.order and view.order.session) == (SessionProgress.READY, order.session)
    assert session_id.startswith("cs_fake")


async def test_a_declined_card_is_not_the_end_and_a_later_payment_counts(lab: Lab) -> None:
    handle, order, session_id = await lab.opened()
    await lab.tell(handle, "evt_declined")
    await eventually(lambda: "retrieve" in lab.provider.calls)
    assert (await lab.order(order.order_id)).status is OrderStatus.AWAITING_PAYMENT
    lab.provider.pay(session_id)
    await lab.tell(handle, "evt_paid")
    assert (await handle.result()).status is OrderStatus.FULFILLED


async def test_without_payment_the_deadline_closes_the_session_and_returns_the_stock(lab: Lab) -> None:
    handle, _, session_id = await lab.opened()
    result = await handle.result()
    assert (result.status, result.reason) == (OrderStatus.CANCELLED, Reason.TIMEOUT)
    assert lab.provider.sessions[session_id].status is SessionStatus.EXPIRED
    assert await lab.on_hand() == 100_000


async def test_a_payment_whose_webhook_never_comes_is_found_at_the_deadline(lab: Lab) -> None:
    handle, order, session_id = await lab.opened()
    lab.provider.pay(session_id)
    assert (await handle.result()).status is OrderStatus.FULFILLED
    assert lab.provider.charges_of(order.order_id) == 1


async def test_a_payment_in_the_race_with_the_deadline_wins_over_it(lab: Lab) -> None:
    """It comes between the deadline and the expiry: the provider says "already complete", and that decides."""
    handle, order, _ = await lab.opened()
    lab.provider.on_expire = lambda session: None if lab.provider.sessions[session].paid else _pay(lab, session)
    assert (await handle.result()).status is OrderStatus.FULFILLED
    assert lab.provider.charges_of(order.order_id) == 1


def _pay(lab: Lab, session_id: str) -> None:
    lab.provider.pay(session_id)


async def test_out_of_stock_is_told_and_asks_the_provider_for_nothing(lab: Lab) -> None:
    handle = await lab.start(lines=[CartLine("limited-print", 11)])
    result = await handle.result()
    assert (result.status, result.reason) == (OrderStatus.REJECTED, Reason.OUT_OF_STOCK)
    view = await lab.view(handle)
    assert view.progress is SessionProgress.CLOSED
    assert view.order is not None
    assert view.order.missing_skus == ["limited-print"]
    assert lab.provider.calls == []


async def test_a_second_run_of_a_key_finds_the_order_and_goes_on_with_it(lab: Lab) -> None:
    handle, order, session_id = await lab.opened(key="again")
    await handle.terminate()
    lab.provider.pay(session_id)
    second = await lab.start(key="again")
    with lab.environment.auto_time_skipping_disabled():
        result = await second.result()
    assert (result.order_id, result.status) == (order.order_id, OrderStatus.FULFILLED)
    assert list(lab.provider.sessions) == [session_id]


async def test_a_second_run_with_another_cart_touches_nothing(lab: Lab) -> None:
    handle, order, _ = await lab.opened(key="reused")
    await handle.terminate()
    second = await lab.start(key="reused", lines=[CartLine("notebook", 3)])
    with pytest.raises(WorkflowFailureError):
        await second.result()
    assert (await lab.order(order.order_id)).status is OrderStatus.AWAITING_PAYMENT
    await lab.settle(None, order.order_id)


async def test_the_search_attributes_follow_the_order(lab: Lab) -> None:
    handle, order, _ = await lab.paid()
    description = await handle.describe()
    shown = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    assert shown == {"CheckoutStatus": "fulfilled", "OrderId": order.order_id}
