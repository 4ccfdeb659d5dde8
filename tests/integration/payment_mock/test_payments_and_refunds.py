"""Money: races between those who pay, cancel, expire and refund, and the constraints that decide them."""

import asyncio

import pytest
import stripe
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.integration.payment_mock.conftest import Merchant
from tests.integration.payment_mock.serving import Receiver


async def test_fifty_payments_at_once_make_one_charge(merchant: Merchant) -> None:
    session = await merchant.create()
    assert set(await asyncio.gather(*(merchant.pay(session.id) for _ in range(50)))) == {204}
    assert await merchant.ledger(session.id) == [("charge", 2450)]
    rows = await merchant.rows("SELECT type FROM payments.events WHERE session_id = :id", id=session.id)
    assert sorted(row.type for row in rows) == [
        "charge.succeeded",
        "checkout.session.completed",
        "payment_intent.succeeded",
    ]


async def test_a_charge_that_the_ledger_refuses_is_a_bug_and_told_as_one(
    merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    session = await merchant.create()
    async with merchant.engine.begin() as connection:
        charge = "INSERT INTO payments.ledger VALUES (:charge, :id, 'charge', 2450, 'usd')"
        await connection.execute(text(charge), {"charge": f"ch_of_{session.id}", "id": session.id})
    assert await merchant.pay(session.id) == 500
    assert "one_charge_per_session" in caplog.text


async def test_of_payment_and_expiry_exactly_one_wins(merchant: Merchant) -> None:
    """One of the two has a lead that grows from nothing to 144 ms: at the end it decides, in between they race."""
    winners = set()
    for attempt in range(26):
        session = await merchant.create()
        lead = (attempt // 2) ** 2 / 1000
        pay_after, expire_after = (0.0, lead) if attempt % 2 else (lead, 0.0)

        async def pay(session_id: str = session.id, after: float = pay_after) -> int:
            await asyncio.sleep(after)
            return await merchant.pay(session_id)

        async def expire(session_id: str = session.id, after: float = expire_after) -> str:
            await asyncio.sleep(after)
            try:
                return str((await merchant.sessions.expire_async(session_id)).status)
            except stripe.InvalidRequestError:
                return "refused"

        results = set(await asyncio.gather(pay(), expire()))
        final = await merchant.retrieve(session.id)
        if final.status == "complete":
            assert results == {204, "refused"}
            assert await merchant.ledger(session.id) == [("charge", 2450)]
        else:
            assert results == {409, "expired"}
            assert await merchant.ledger(session.id) == []
        winners.add(final.status)
    assert winners == {"complete", "expired"}, "the race was not a race"


async def test_a_session_past_its_time_cannot_be_paid_even_before_the_clock_swept_it(merchant: Merchant) -> None:
    session = await merchant.create()
    rule = await merchant.plant("pay.before", "hold", match={"session_id": session.id})
    payment = asyncio.create_task(merchant.pay(session.id))
    await merchant.until_holding(rule)
    async with merchant.engine.begin() as connection:
        await connection.execute(
            text("UPDATE payments.sessions SET expires_at = now() WHERE id = :id"), {"id": session.id}
        )
        await merchant.http.post("/_faults/release", json={})
    assert await payment == 409
    assert await merchant.ledger(session.id) == []


async def test_a_session_whose_time_is_over_expires_by_itself_and_says_so(
    merchant: Merchant, receiver: Receiver
) -> None:
    session = await merchant.create()
    async with merchant.engine.begin() as connection:
        await connection.execute(
            text("UPDATE payments.sessions SET expires_at = now() WHERE id = :id"), {"id": session.id}
        )
    await receiver.wait_for(session.id, type_="checkout.session.expired")
    assert (await merchant.retrieve(session.id)).status == "expired"


async def test_a_refund_gives_all_back_once(merchant: Merchant) -> None:
    paid = await merchant.paid()
    refund = await merchant.stripe.v1.refunds.create_async(
        {"payment_intent": paid.payment_intent, "reason": "requested_by_customer", "metadata": {"order_id": "o"}}
    )
    assert refund.id.startswith("re_")
    assert (refund.object, refund.amount, refund.currency, refund.status) == ("refund", 2450, "usd", "succeeded")
    assert refund.metadata["order_id"] == "o"
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        await merchant.stripe.v1.refunds.create_async({"payment_intent": paid.payment_intent})
    assert refusal.value.code == "charge_already_refunded"
    assert await merchant.ledger(paid.id) == [("charge", 2450), ("refund", 2450)]
    assert (await merchant.stripe.v1.refunds.retrieve_async(refund.id)).to_dict() == refund.to_dict()
    charge = await merchant.stripe.v1.charges.retrieve_async(refund.charge)
    assert (charge.refunded, charge.amount_refunded) == (True, 2450)


async def test_partial_refunds_add_up_and_never_exceed_the_charge(merchant: Merchant) -> None:
    paid = await merchant.paid()
    refunds = merchant.stripe.v1.refunds
    await refunds.create_async({"payment_intent": paid.payment_intent, "amount": 1000})
    charge = (await merchant.stripe.v1.payment_intents.retrieve_async(paid.payment_intent)).latest_charge
    await refunds.create_async({"charge": charge, "amount": 1000})
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded") as refusal:
        await refunds.create_async({"payment_intent": paid.payment_intent, "amount": 451})
    assert refusal.value.param == "amount"
    await refunds.create_async({"payment_intent": paid.payment_intent, "amount": 450})
    listed = await refunds.list_async({"payment_intent": paid.payment_intent})
    assert [refund.amount for refund in listed.data] == [450, 1000, 1000]


async def test_twenty_full_refunds_at_once_give_the_money_back_once(merchant: Merchant) -> None:
    paid = await merchant.paid()

    async def refund() -> str:
        try:
            return str((await merchant.stripe.v1.refunds.create_async({"payment_intent": paid.payment_intent})).status)
        except stripe.InvalidRequestError as error:
            return str(error.code)

    results = await asyncio.gather(*(refund() for _ in range(20)))
    assert sorted(set(results)) == ["charge_already_refunded", "succeeded"]
    assert results.count("succeeded") == 1
    assert await merchant.ledger(paid.id) == [("charge", 2450), ("refund", 2450)]


async def test_concurrent_partial_refunds_all_count(merchant: Merchant) -> None:
    paid = await merchant.paid()
    await asyncio.gather(
        *(
            merchant.stripe.v1.refunds.create_async({"payment_intent": paid.payment_intent, "amount": 245})
            for _ in range(10)
        )
    )
    assert await merchant.ledger(paid.id) == [("charge", 2450), *[("refund", 245)] * 10]


async def test_a_refund_under_one_key_is_made_once(merchant: Merchant) -> None:
    paid = await merchant.paid()
    params: stripe.params.RefundCreateParams = {"payment_intent": paid.payment_intent, "amount": 100}
    made = [
        await merchant.stripe.v1.refunds.create_async(params, {"idempotency_key": f"refund-{paid.id}"})
        for _ in range(3)
    ]
    assert len({refund.id for refund in made}) == 1
    assert await merchant.ledger(paid.id) == [("charge", 2450), ("refund", 100)]


async def test_an_unpaid_session_has_nothing_to_refund(merchant: Merchant) -> None:
    session = await merchant.create()
    await merchant.http.post(f"/payment/{session.id}/decline")
    intent = (await merchant.retrieve(session.id)).payment_intent
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
        await merchant.stripe.v1.refunds.create_async({"payment_intent": intent})


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO payments.ledger (id, session_id, kind, amount, currency) VALUES ('ch_2', :id, 'charge', 1, 'usd')",
        "INSERT INTO payments.ledger (id, session_id, kind, amount, currency)"
        " VALUES ('re_x', :id, 'refund', 2451, 'usd')",
        "UPDATE payments.sessions SET amount_refunded = 2451 WHERE id = :id",
        "UPDATE payments.sessions SET status = 'expired' WHERE id = :id",
        "UPDATE payments.sessions SET charge = NULL WHERE id = :id",
        "DELETE FROM payments.ledger WHERE session_id = :id",
        "UPDATE payments.ledger SET amount = 1 WHERE session_id = :id",
        "INSERT INTO payments.idempotency_keys (key, endpoint, fingerprint, request_id) VALUES (:id, '/', 'f', 'r')",
    ],
)
async def test_the_database_itself_refuses_wrong_states(merchant: Merchant, statement: str) -> None:
    paid = await merchant.paid()
    with pytest.raises(DBAPIError):
        async with merchant.engine.begin() as connection:
            await connection.execute(text(statement), {"id": paid.id})
