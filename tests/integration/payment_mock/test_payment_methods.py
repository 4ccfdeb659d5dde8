"""Which methods a payment page offers, and payments that take days."""

import pytest
import stripe

from tests.integration.payment_mock.after_payment import become, charge_of, refunds, told
from tests.integration.payment_mock.conftest import Merchant, line
from tests.integration.payment_mock.serving import Receiver


@pytest.mark.parametrize(("status", "paid"), [("succeeded", True), ("failed", False)])
async def test_a_payment_that_takes_days_is_complete_at_once_and_paid_or_failed_later(
    merchant: Merchant, receiver: Receiver, status: str, paid: bool
) -> None:
    session = await merchant.create(payment_method_types=["card", "us_bank_account"])
    token = {"succeeded": "pm_usBankAccount_success", "failed": "pm_usBankAccount_insufficientFunds"}[status]
    answer = await merchant.http.post(f"/payment/{session.id}/pay", data={"payment_method": token})
    assert answer.status_code == 303
    [posted] = await receiver.wait_for(session.id, type_="checkout.session.completed")
    assert posted.event["data"]["object"]["payment_status"] == "unpaid"
    await receiver.wait_for(session.id, type_=f"checkout.session.async_payment_{status}")
    later = await merchant.retrieve(session.id)
    charge = await charge_of(merchant, later)
    assert (later.status, later.payment_status) == ("complete", "paid" if paid else "unpaid")
    assert (charge.status, charge.paid, charge.payment_method_details.type) == (status, paid, "us_bank_account")
    assert await merchant.ledger(session.id) == ([("charge", 2450)] if paid else [])
    types = await told(merchant, session.id)
    assert types[:3] == ["checkout.session.completed", "payment_intent.processing", "charge.pending"]
    intent = {"succeeded": "payment_intent.succeeded", "failed": "payment_intent.payment_failed"}[status]
    assert types[3:] == [f"checkout.session.async_payment_{status}", intent, f"charge.{status}"]


async def test_a_payment_under_way_shows_as_processing_until_somebody_says_what_became_of_it(
    merchant: Merchant,
) -> None:
    session = await merchant.create(payment_method_types=["card", "us_bank_account"])
    page = f"/payment/{session.id}"
    assert "US bank account" in (await merchant.http.get(page)).text
    await merchant.http.post(f"{page}/pay", data={"payment_method": "pm_usBankAccount_processing"})
    intents = merchant.stripe.v1.payment_intents
    intent = await intents.retrieve_async((await merchant.retrieve(session.id)).payment_intent)
    assert (intent.status, intent.amount_received) == ("processing", 0)
    assert "need not pay again" in (await merchant.http.get(page)).text
    with pytest.raises(stripe.InvalidRequestError):
        await refunds(merchant).create_async({"payment_intent": intent.id})
    assert await become(merchant, session.id, "failed")
    assert not await become(merchant, session.id, "succeeded")
    failed = await intents.retrieve_async(intent.id)
    assert (failed.status, failed.last_payment_error.decline_code) == ("requires_payment_method", "insufficient_funds")


async def test_a_method_that_the_shop_did_not_ask_for_is_not_offered_and_not_taken(merchant: Merchant) -> None:
    session = await merchant.create(payment_method_types=["card"])
    assert "bank account" not in (await merchant.http.get(f"/payment/{session.id}")).text
    refused = await merchant.http.post(
        f"/payment/{session.id}/pay", data={"payment_method": "pm_usBankAccount_success"}
    )
    assert refused.status_code == 400
    assert (await merchant.retrieve(session.id)).status == "open"


async def test_an_account_offers_what_pays_in_the_currency_and_a_shop_can_ask_for_less(merchant: Merchant) -> None:
    in_euros = [line("Pen", 1000, 1, "eur")]
    assert (await merchant.create()).payment_method_types == ["card", "us_bank_account"]
    assert (await merchant.create(line_items=in_euros)).payment_method_types == ["card", "sepa_debit"]
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        await merchant.create(line_items=in_euros, payment_method_types=["us_bank_account"])
    assert refusal.value.param == "payment_method_types"


async def test_the_guides_payment_takes_a_test_method_too(merchant: Merchant) -> None:
    session = await merchant.create(line_items=[line("Pen", 1000, 1, "eur")])
    form = {"session_id": session.id, "payment_method": "pm_usBankAccount_success"}
    assert (await merchant.http.post("/api/submit_payment", data=form)).status_code == 400
    assert (
        await merchant.http.post("/api/submit_payment", json={**form, "payment_method": "pm_success_de"})
    ).status_code == 204
    assert (await merchant.retrieve(session.id)).payment_status == "unpaid"
    shown = (await merchant.http.get(f"/api/session/{session.id}")).json()
    assert shown["payment_status"] == "pending"
    assert await become(merchant, session.id, "failed")
    assert (await merchant.http.get(f"/api/session/{session.id}")).json()["payment_status"] == "cancelled"
    assert "did not go through" in (await merchant.http.get(f"/payment/{session.id}")).text
