"""Every branch of the checkout's story."""

import asyncio
import contextlib

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError
from temporalio.service import RPCError

from checkout.contracts import SessionProgress
from checkout.errors import PaymentUnreachable
from checkout.orders import CartLine, OrderStatus, Reason
from checkout.payments import SessionStatus
from tests.support.eventually import eventually
from tests.support.lab import Lab
from tests.support.provider import always, times
from worker import policies
from worker.workflows.checkout import CheckoutWorkflow


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


async def test_out_of_stock_is_told_and_asks_the_provider_for_nothing(lab: Lab) -> None:
    handle = await lab.start(lines=[CartLine("limited-print", 11)])
    result = await handle.result()
    assert (result.status, result.reason) == (OrderStatus.REJECTED, Reason.OUT_OF_STOCK)
    view = await lab.view(handle)
    assert view.progress is SessionProgress.CLOSED
    assert view.order is not None
    assert view.order.missing_skus == ["limited-print"]
    assert lab.provider.calls == []


async def test_duplicate_and_foreign_events_fulfil_once(lab: Lab) -> None:
    handle, order, session_id = await lab.opened()
    for _ in range(3):
        await lab.tell(handle, "evt_foreign")
    lab.provider.fail["retrieve"] = always(PaymentUnreachable("away"))  # nothing is decided until all have come
    lab.provider.pay(session_id)
    await asyncio.gather(*(lab.tell(handle, "evt_same") for _ in range(20)))
    lab.provider.fail.clear()
    assert (await handle.result()).status is OrderStatus.FULFILLED
    assert (await lab.kinds(order.order_id)).count("fulfilled") == 1


async def test_signals_that_cannot_be_decoded_or_are_unknown_do_not_stop_the_checkout(lab: Lab) -> None:
    handle, _, session_id = await lab.opened()
    await handle.signal("payment_event", {"not": ["an", "id"]})
    await handle.signal("payment_event", args=["one", "too many"])
    await handle.signal("nonsense", 1)
    lab.provider.pay(session_id)
    await lab.tell(handle)
    assert (await handle.result()).status is OrderStatus.FULFILLED


async def looked(lab: Lab, times: int) -> None:
    await eventually(lambda: lab.provider.calls.count("retrieve") >= times)


async def test_a_flood_of_events_continues_as_new_and_loses_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    # The limit, not the code: 500 signals would say the same more slowly.
    monkeypatch.setattr(policies, "MAX_EVENTS_PER_RUN", 5)
    handle, order, session_id = await lab.opened()
    for told in range(1, 13):
        await lab.tell(handle, f"evt_{told}")
        # One look for each event, and one of each new run: this test server, unlike the real one, refuses what comes
        # between two runs.
        await looked(lab, told + told // 5)
    lab.provider.pay(session_id)
    await lab.tell(handle, "evt_paid")
    assert (await handle.result()).status is OrderStatus.FULFILLED
    latest = await lab.client.get_workflow_handle(handle.id).describe()
    assert latest.run_id != handle.first_execution_run_id
    assert list(lab.provider.sessions) == [session_id]
    assert (await lab.kinds(order.order_id))[:4] == ["reserved", "awaiting_payment", "paid", "fulfilled"]


async def test_a_flood_of_repeats_continues_as_new_as_well(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporal counts each of them, and takes no more signals after the ten thousandth."""
    monkeypatch.setattr(policies, "MAX_SIGNALS_PER_RUN", 5)
    handle, _, session_id = await lab.opened()
    for _ in range(5):
        await lab.tell(handle, "evt_same")
    await lab.continued_as_new(handle)
    lab.provider.pay(session_id)
    with contextlib.suppress(RPCError):  # the new run looks by itself, and may have ended on what it saw
        await lab.tell(handle, "evt_paid")
    assert (await handle.result()).status is OrderStatus.FULFILLED


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
