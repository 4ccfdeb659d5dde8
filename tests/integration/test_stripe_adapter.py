"""The Stripe adapter against the real payment service: what each answer, and each missing one, becomes."""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from checkout.errors import PaymentRefused, PaymentStuck, PaymentUnreachable
from checkout.payments import SessionStatus
from runtime.settings import Settings
from stack.stack import Stack
from tests.support.payment import PaymentService
from worker.payments.port import SessionLine, SessionRequest
from worker.payments.stripe_adapter import StripeProvider


@pytest.fixture
async def payment(stack: Stack) -> AsyncIterator[PaymentService]:
    async with PaymentService(stack.urls["payment"]) as payment:
        yield payment


@pytest.fixture
def provider(stack: Stack) -> StripeProvider:
    # What the stack's own worker is configured with, by its variables' names.
    return StripeProvider(Settings.model_validate(stack.env))


def request(order_id: str | None = None) -> SessionRequest:
    now = datetime.now(UTC)
    return SessionRequest(
        order_id=order_id or f"ord_{secrets.token_hex(8)}",
        checkout_key="key-1",
        currency="usd",
        lines=[SessionLine("Pen", 2, 1000), SessionLine("Notebook", 1, 450)],
        created_at=now,
        pay_by=now + timedelta(minutes=15),
        email="ada@example.com",
    )


async def test_a_session_is_for_the_orders_amount_and_can_be_paid(
    provider: StripeProvider, payment: PaymentService
) -> None:
    wanted = request()
    session = await provider.create_session(wanted)
    before = await provider.retrieve_session(session.session_id)
    assert (before.status, before.paid, before.amount_total) == (SessionStatus.OPEN, False, 2450)
    assert (before.currency, before.order_id) == ("usd", wanted.order_id)
    await payment.pay(session.session_id)
    after = await provider.retrieve_session(session.session_id)
    assert (after.status, after.paid) == (SessionStatus.COMPLETE, True)
    assert after.payment_intent_id is not None


async def test_an_order_has_one_session_however_often_it_is_asked_for(provider: StripeProvider) -> None:
    wanted = request()
    assert await provider.create_session(wanted) == await provider.create_session(wanted)


async def test_the_mock_is_known_by_its_pages(provider: StripeProvider) -> None:
    session = await provider.create_session(request())
    assert session.url == f"{session.simulator_url}/payment/{session.session_id}"


async def test_a_session_is_found_by_its_order_without_the_key(
    provider: StripeProvider, payment: PaymentService
) -> None:
    wanted = request()
    await payment.fault("create.after", "drop", match={"order_id": wanted.order_id})
    with pytest.raises(PaymentUnreachable):
        await provider.create_session(wanted)
    found = await provider.find_session(wanted)
    assert found is not None
    assert found == await provider.create_session(wanted)
    assert await provider.find_session(request()) is None


async def test_expiring_an_open_session_closes_it_and_repeats_well(provider: StripeProvider) -> None:
    session = await provider.create_session(request())
    for _ in range(2):
        assert (await provider.expire_session(session.session_id)).status is SessionStatus.EXPIRED


async def test_expiring_a_paid_session_says_that_it_is_paid(provider: StripeProvider, payment: PaymentService) -> None:
    session = await provider.create_session(request())
    await payment.pay(session.session_id)
    state = await provider.expire_session(session.session_id)
    assert (state.status, state.paid) == (SessionStatus.COMPLETE, True)


async def test_a_payment_is_given_back_once_also_after_a_lost_reply_and_by_another_hand(
    provider: StripeProvider, payment: PaymentService, stack: Stack
) -> None:
    # The stack's own worker must not hear of it: it would give the money of an unknown order back itself.
    session = await provider.create_session(request())
    own = {"session_id": session.session_id}
    await payment.fault("webhook", "lose", times=None, match=own)
    await payment.pay(session.session_id)
    intent = (await provider.retrieve_session(session.session_id)).payment_intent_id
    assert intent is not None
    await payment.fault("refund.after", "drop", match=own)
    with pytest.raises(PaymentUnreachable):
        await provider.refund(intent)
    await provider.refund(intent)
    headers = {"Authorization": f"Bearer {stack.env['STRIPE_SECRET_KEY']}"}
    refunds = (await payment.http.get("/v1/refunds", params={"payment_intent": intent}, headers=headers)).json()
    assert [refund["amount"] for refund in refunds["data"]] == [2450]


@pytest.mark.parametrize(
    ("action", "status", "expected"),
    [
        ("error", 500, PaymentUnreachable),
        ("error", 429, PaymentUnreachable),
        ("error", 409, PaymentUnreachable),
        ("error", 400, PaymentRefused),
        ("error", 401, PaymentRefused),
        ("error", 404, PaymentRefused),  # without `resource_missing` it is the address that is not known
        ("drop", None, PaymentUnreachable),
        ("redirect", None, PaymentUnreachable),
        ("huge_body", None, PaymentUnreachable),
        ("broken_body", None, PaymentUnreachable),
    ],
)
async def test_each_bad_answer_becomes_one_of_three_errors(
    provider: StripeProvider, payment: PaymentService, action: str, status: int | None, expected: type[Exception]
) -> None:
    wanted = request()
    more = {"status": status} if status else {}
    rule = await payment.fault("create.before", action, match={"order_id": wanted.order_id}, **more)
    with pytest.raises(expected) as failure:
        await provider.create_session(wanted)
    assert type(failure.value) is expected
    assert await payment.fired(rule) == 1


async def test_a_stored_500_is_told_from_a_passing_one(provider: StripeProvider, payment: PaymentService) -> None:
    """Stripe replays a 500 under its key for ever: retrying cannot help, looking up can."""
    wanted = request()
    await payment.fault("create.before", "sticky_error", match={"order_id": wanted.order_id})
    with pytest.raises(PaymentUnreachable):
        await provider.create_session(wanted)
    with pytest.raises(PaymentStuck):
        await provider.create_session(wanted)


async def test_no_error_tells_the_secret_key(provider: StripeProvider, payment: PaymentService, stack: Stack) -> None:
    wanted = request()
    await payment.fault("create.before", "error", status=401, match={"order_id": wanted.order_id})
    with pytest.raises(PaymentRefused) as failure:
        await provider.create_session(wanted)
    assert stack.env["STRIPE_SECRET_KEY"] not in str(failure.value)
