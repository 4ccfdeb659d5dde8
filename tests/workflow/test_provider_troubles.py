"""The checkout's story where the payment service is away, refuses, or says what was not agreed."""

import itertools

import pytest
from sqlalchemy import text

from checkout.errors import PaymentRefused, PaymentStuck, PaymentUnreachable
from checkout.orders import CartLine, OrderStatus, Reason
from checkout.sessions import PaymentSession, ProviderSession, SessionStatus
from db import orders
from tests.support.eventually import eventually
from tests.support.healthy_shop import mend_missing_reservations, run
from tests.support.lab import Lab
from tests.support.provider import FakeProvider, always, times
from worker.workflows.checkout import CheckoutWorkflow


async def test_a_provider_that_is_away_is_asked_until_it_answers(lab: Lab) -> None:
    lab.provider.fail["create"] = times(4)
    handle, order, _ = await lab.opened()
    assert lab.provider.calls.count("create") == 5
    assert await lab.on_hand() == 99_999
    await handle.signal(CheckoutWorkflow.cancel)
    assert (await handle.result()).order_id == order.order_id


async def test_an_order_is_known_while_its_session_cannot_be_had_for_whatever_reason(lab: Lab) -> None:
    lab.provider.fail["create"] = always(AttributeError("an answer that is no session"))
    handle = await lab.start()

    async def known() -> bool:
        order = (await lab.view(handle)).order
        return order is not None and order.status is OrderStatus.PENDING

    await eventually(known, what="the order, pending")
    lab.provider.fail.clear()
    assert (await lab.ready(handle)).session is not None


async def test_what_the_provider_has_said_is_not_asked_again_while_the_database_is_busy(lab: Lab) -> None:
    handle, order, session_id = await lab.opened()
    lab.provider.pay(session_id)
    async with lab.engine.begin() as connection:
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text("SELECT 1 FROM shop.orders WHERE id = :id FOR UPDATE"), {"id": order.order_id})
        await lab.tell(handle)
        await lab.until_pending(handle, "fulfil_order")
        lab.provider.fail["retrieve"] = always(PaymentUnreachable("away"))
    assert (await handle.result()).status is OrderStatus.FULFILLED
    assert lab.provider.calls.count("retrieve") == 1


async def test_a_lost_reply_to_the_session_request_leaves_one_session(lab: Lab) -> None:
    lab.provider.lose_reply["create"] = times(2)
    handle, _, session_id = await lab.opened()
    assert list(lab.provider.sessions) == [session_id]
    lab.provider.pay(session_id)
    await lab.tell(handle)
    assert (await handle.result()).status is OrderStatus.FULFILLED


@pytest.mark.parametrize("unanswered", [0, 2], ids=["while_the_order_is_opened", "in_a_step_of_its_own"])
@pytest.mark.parametrize("error", [PaymentRefused("400"), PaymentStuck("500, replayed")])
async def test_a_provider_that_refuses_for_good_ends_the_checkout_and_returns_the_stock(
    lab: Lab, error: Exception, unanswered: int
) -> None:
    words = itertools.chain([PaymentUnreachable("away")] * unanswered, itertools.repeat(error))
    lab.provider.fail["create"] = lambda: always(next(words))()
    handle = await lab.start()
    order = await lab.ready(handle)
    assert (order.status, order.reason) == (OrderStatus.REJECTED, Reason.PAYMENT_UNAVAILABLE)
    assert (await handle.result()).status is OrderStatus.REJECTED
    assert await lab.on_hand() == 100_000
    assert "find" in lab.provider.calls


@pytest.mark.parametrize("error", [PaymentRefused("400"), PaymentStuck("500, replayed")])
async def test_a_session_that_exists_in_spite_of_the_refusal_is_found_and_used(lab: Lab, error: Exception) -> None:
    lab.provider.lose_reply["create"] = always(error)
    handle, _, session_id = await lab.opened()
    lab.provider.pay(session_id)
    await lab.tell(handle)
    assert (await handle.result()).status is OrderStatus.FULFILLED


async def test_a_stored_error_under_the_first_key_leaves_the_session_to_the_second(lab: Lab) -> None:
    lab.provider.fail["create"] = times(1, PaymentStuck("500, replayed"))
    handle, _, session_id = await lab.opened()
    assert lab.provider.calls[:3] == ["create", "find", "create"]
    assert list(lab.provider.sessions) == [session_id]
    lab.provider.pay(session_id)
    await lab.tell(handle)
    assert (await handle.result()).status is OrderStatus.FULFILLED


@pytest.mark.parametrize("operation", ["retrieve", "expire"])
async def test_while_the_provider_does_not_say_what_became_of_the_session_the_stock_is_kept(
    lab: Lab, operation: str
) -> None:
    away = True
    seen: list[int] = []

    def fail() -> None:
        seen.append(1)
        if away:
            raise PaymentUnreachable("away")

    lab.provider.fail[operation] = fail
    handle, order, _ = await lab.opened(timeout=2.0 if operation == "expire" else 900.0)
    if operation == "retrieve":
        await lab.tell(handle)
    await eventually(lambda: len(seen) >= 3)
    assert (await lab.order(order.order_id)).status is OrderStatus.AWAITING_PAYMENT
    assert await lab.on_hand() == 99_999
    away = False
    assert (await handle.result()).status is OrderStatus.CANCELLED
    assert await lab.on_hand() == 100_000


async def test_a_provider_that_refuses_to_speak_of_the_session_is_asked_again_later(lab: Lab) -> None:
    lab.provider.fail["retrieve"] = times(3, PaymentRefused("401 wrong key"))
    handle, _, session_id = await lab.opened()
    lab.provider.pay(session_id)
    await lab.tell(handle)
    assert (await handle.result()).status is OrderStatus.FULFILLED


@pytest.mark.parametrize(
    "changes",
    [{"amount_total": 1}, {"amount_total": 100_000}, {"currency": "eur"}, {"order_id": "ord_another"}],
)
async def test_a_payment_that_is_not_the_one_agreed_is_given_back(lab: Lab, changes: dict[str, object]) -> None:
    handle, _, session_id = await lab.opened()
    lab.provider.pay(session_id, **changes)
    await lab.tell(handle)
    result = await handle.result()
    assert (result.status, result.reason) == (OrderStatus.REFUNDED, Reason.PAYMENT_MISMATCH)
    assert lab.provider.refunded == [f"pi_{session_id}"]
    assert await lab.on_hand() == 100_000


async def test_a_paid_order_that_lost_its_reservation_is_refunded_once_and_remains_an_alarm(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """There is stock enough: to take it anew would hide that a row is gone."""
    handle, order, session_id = await lab.opened(lines=[CartLine("limited-print", 4)])
    await run(lab.engine, "DELETE FROM shop.reservations")
    lab.provider.pay(session_id)
    await lab.tell(handle)
    result = await handle.result()
    assert (result.status, result.reason) == (OrderStatus.REFUNDED, Reason.CANNOT_FULFIL)
    assert lab.provider.refunded == [f"pi_{session_id}"]
    [alarm] = [record.getMessage() for record in caplog.records if "needs attention" in record.getMessage()]
    assert f"Order {order.order_id} is paid and has no reservation of limited-print" in alarm
    assert await lab.on_hand("limited-print") == 6
    named = f"order {order.order_id} (refunded), limited-print: line of 4, no reservation"
    assert named in [told for finding in await lab.violations() for told in finding.violations]
    await mend_missing_reservations(lab.engine, order.order_id)


async def test_a_refusal_after_the_session_was_recorded_changes_nothing(lab: Lab) -> None:
    """A worker that died had recorded the session; the next one has a wrong key, for which everything is refused."""
    lab.provider.fail["create"] = always(PaymentUnreachable("away"))
    handle = await lab.start()
    await eventually(lambda: "create" in lab.provider.calls)
    order = await lab.view_order(handle.id)
    lab.provider.sessions["cs_first"] = ProviderSession(
        "cs_first", SessionStatus.OPEN, False, order.amount_total, order.currency, order.order_id
    )
    async with lab.engine.begin() as connection:
        await orders.record_session(connection, order.order_id, PaymentSession("cs_first", "https://pay.example"))
    lab.provider.fail |= {name: always(PaymentRefused("401 wrong key")) for name in ("create", "find")}
    assert (await lab.ready(handle)).status is OrderStatus.AWAITING_PAYMENT
    lab.provider.fail.clear()
    lab.provider.pay("cs_first")
    await lab.tell(handle)
    assert (await handle.result()).status is OrderStatus.FULFILLED


def test_the_fake_provider_refuses_to_pay_a_closed_session() -> None:
    """The tests above rest on it."""
    provider = FakeProvider()
    with pytest.raises(PaymentRefused):
        provider.pay("cs_unknown")
