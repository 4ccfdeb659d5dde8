"""Sessions through the Stripe adapter, at the payment service in this process."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from checkout.errors import PaymentRefused, PaymentStuck, PaymentUnknown, PaymentUnreachable
from checkout.sessions import SessionLine, SessionStatus
from tests.integration.payment_mock.serving import KEY
from tests.integration.simulator import Simulator, request
from worker.payments.answers import state_of

PAID: dict[str, Any] = {
    "id": "cs_1",
    "mode": "payment",
    "status": "complete",
    "payment_status": "paid",
    "amount_total": 700,
    "currency": "usd",
    "payment_intent": "pi_1",
    "metadata": {},
}


def session(**changes: Any) -> Any:
    return stripe.checkout.Session.construct_from(PAID | changes, KEY)


async def test_a_session_is_for_the_orders_amount_and_can_be_paid(simulator: Simulator) -> None:
    wanted = request(lines=[SessionLine("Pen", 2, 1000), SessionLine("Notebook", 1, 450)], email="ada@example.com")
    opened = await simulator.provider.create_session(wanted)
    before = await simulator.provider.retrieve_session(opened.session_id)
    assert (before.status, before.paid, before.amount_total) == (SessionStatus.OPEN, False, 2450)
    assert (before.currency, before.order_id) == ("usd", wanted.order_id)
    await simulator.pay(opened.session_id)
    after = await simulator.provider.retrieve_session(opened.session_id)
    assert (after.status, after.paid) == (SessionStatus.COMPLETE, True)
    assert after.payment_intent_id is not None


async def test_the_simulator_is_known_by_its_pages(simulator: Simulator) -> None:
    opened = await simulator.provider.create_session(request())
    assert opened.url == f"{opened.simulator_url}/payment/{opened.session_id}"


async def test_a_session_is_found_by_its_order_without_the_key(simulator: Simulator) -> None:
    wanted = request()
    await simulator.fault("create.after", "drop")
    with pytest.raises(PaymentUnreachable):
        await simulator.provider.create_session(wanted)
    found = await simulator.provider.find_session(wanted)
    assert found is not None
    assert found == await simulator.provider.create_session(wanted)
    assert await simulator.provider.find_session(request()) is None


async def test_every_attempt_for_an_order_gets_the_same_session(simulator: Simulator) -> None:
    wanted = request()
    await simulator.fault("create.after", "drop")
    with pytest.raises(PaymentUnreachable):
        await simulator.provider.create_session(wanted)
    assert await simulator.provider.create_session(wanted) == await simulator.provider.create_session(wanted)
    assert await simulator.count("SELECT count(*) FROM payments.sessions") == 1


async def test_complete_is_not_paid(simulator: Simulator) -> None:
    opened = await simulator.provider.create_session(request())
    await simulator.fault("pay.before", "complete_unpaid")
    await simulator.pay(opened.session_id)
    state = await simulator.provider.retrieve_session(opened.session_id)
    assert (state.status, state.paid) == (SessionStatus.COMPLETE, False)


async def test_expiring_an_open_session_closes_it_and_repeats_well(simulator: Simulator) -> None:
    opened = await simulator.provider.create_session(request())
    for _ in range(2):
        assert (await simulator.provider.expire_session(opened.session_id)).status is SessionStatus.EXPIRED


async def test_expiring_what_is_paid_says_so(simulator: Simulator) -> None:
    paid = await simulator.paid()
    assert (await simulator.provider.expire_session(paid.session_id)).paid


async def test_an_open_session_that_is_not_closed_is_no_answer(simulator: Simulator) -> None:
    """Else whoever asks would ask again at once, for ever: it wants closed what it is told is open."""
    opened = await simulator.provider.create_session(request())
    await simulator.fault("expire.before", "error", status=403)
    with pytest.raises(PaymentUnreachable, match="403"):
        await simulator.provider.expire_session(opened.session_id)
    assert (await simulator.provider.expire_session(opened.session_id)).status is SessionStatus.EXPIRED


@pytest.mark.parametrize("other", [{"mode": "setup", "amount_total": None}, {"mode": "subscription"}])
def test_a_session_that_is_not_for_a_payment_is_none_of_ours(other: dict[str, Any]) -> None:
    """Stripe tells an account's endpoints of all its sessions. One of another kind has no amount, or no payment."""
    assert state_of(session()).paid
    with pytest.raises(PaymentUnknown):
        state_of(session(payment_intent=None, **other))


@pytest.mark.parametrize("intent", ["pi_1", {"id": "pi_1", "object": "payment_intent", "status": "succeeded"}])
def test_a_payment_is_read_whether_its_id_or_the_whole_of_it_is_told(intent: object) -> None:
    assert state_of(session(payment_intent=intent)).payment_intent_id == "pi_1"


def test_a_session_without_a_payment_intent_is_read_as_what_it_is() -> None:
    """Paid by other means than a payment intent; and free, which no session of ours is."""
    unnamed = session(payment_intent=None)
    paid = state_of(unnamed)
    assert (paid.paid, paid.payment_intent_id, paid.is_free) == (True, None, False)
    del unnamed["payment_intent"]
    assert state_of(unnamed) == paid
    free = state_of(session(payment_intent=None, payment_status="no_payment_required", amount_total=0))
    assert (free.status, free.paid, free.amount_total, free.is_free) == (SessionStatus.COMPLETE, False, 0, True)


async def test_a_stored_error_is_told_from_a_passing_one(simulator: Simulator) -> None:
    wanted = request()
    await simulator.fault("create.before", "sticky_error", status=500)
    with pytest.raises(PaymentUnreachable):
        await simulator.provider.create_session(wanted)
    with pytest.raises(PaymentStuck):
        await simulator.provider.create_session(wanted)


async def test_a_refusal_that_is_replayed_is_told_from_one_that_is_new(simulator: Simulator) -> None:
    wanted = request()
    await simulator.fault("create.before", "sticky_error", status=402)
    with pytest.raises(PaymentRefused):
        await simulator.provider.create_session(wanted)
    with pytest.raises(PaymentStuck):
        await simulator.provider.create_session(wanted)
    opened = await simulator.provider.create_session(wanted, 2)
    assert await simulator.provider.create_session(wanted, 2) == opened
    assert await simulator.provider.find_session(wanted) == opened


async def test_a_key_that_was_used_for_something_else_is_of_no_use_any_more(simulator: Simulator) -> None:
    wanted = request()
    await simulator.provider.create_session(wanted)
    with pytest.raises(PaymentStuck):
        await simulator.provider.create_session(request(order_id=wanted.order_id, lines=[SessionLine("Pen", 1, 1000)]))


async def test_a_session_is_found_though_many_were_opened_after_it(simulator: Simulator) -> None:
    wanted = request()
    opened = await simulator.provider.create_session(wanted)
    later = (simulator.provider.create_session(request()) for _ in range(101))  # more than a page of the list
    await asyncio.gather(*later)
    assert await simulator.provider.find_session(wanted) == opened


@pytest.mark.parametrize(("minutes", "hours_open"), [(15, 2.25), (30, 2.5), (22 * 60, 24 - 1 / 6)])
async def test_the_provider_closes_a_session_two_hours_after_us_and_in_any_case_within_its_day(
    simulator: Simulator, minutes: int, hours_open: float
) -> None:
    """Should we never come to close it: nobody shall pay for an order that ended long ago."""
    now = datetime.now(UTC).replace(microsecond=0)
    opened = await simulator.provider.create_session(request(created_at=now, pay_by=now + timedelta(minutes=minutes)))
    shown = await simulator.get(f"/v1/checkout/sessions/{opened.session_id}")
    assert shown["expires_at"] == int((now + timedelta(hours=hours_open)).timestamp())


async def test_a_refusal_tells_which_parameter_and_why_and_nothing_personal(simulator: Simulator) -> None:
    """The simulator, as Stripe, repeats the address that it refuses."""
    wrong = request(email="ada lovelace@example.com", lines=[SessionLine("Pen", 1, 1000)])
    with pytest.raises(PaymentRefused) as refusal:
        await simulator.provider.create_session(wrong)
    assert "400 (email_invalid), parameter customer_email: Invalid email address: ada …" in str(refusal.value)
    assert "example.com" not in str(refusal.value)
    long = request(lines=[SessionLine("x" * 460, 1, 1000)])
    with pytest.raises(PaymentRefused, match=r"parameter line_items\[0\]\[price_data\]\[product_data\]\[name\]: .*250"):
        await simulator.provider.create_session(long)
