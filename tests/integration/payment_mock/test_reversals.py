"""Money that goes back: refunds to their end, partial ones, and disputes; the official library is the witness."""

import asyncio
from typing import Any

import pytest
import stripe

from tests.integration.payment_mock.conftest import Merchant, line
from tests.integration.payment_mock.serving import Receiver


async def become(merchant: Merchant, identifier: str, status: str) -> bool:
    answer = await merchant.http.post("/_faults/become", json={"id": identifier, "status": status})
    return bool(answer.raise_for_status().json()["changed"])


async def paid_with(merchant: Merchant, token: str) -> Any:
    session = await merchant.create()
    answer = await merchant.http.post(f"/payment/{session.id}/pay", data={"payment_method": token})
    assert answer.status_code == 303
    return await merchant.retrieve(session.id)


async def told(merchant: Merchant, session_id: str) -> list[str]:
    """The types of all events about it, in the order in which they happened."""
    rows = await merchant.rows("SELECT type FROM payments.events WHERE session_id = :id ORDER BY seq", id=session_id)
    return [row.type for row in rows]


def refunds(merchant: Merchant) -> Any:
    return merchant.stripe.v1.refunds


def disputes(merchant: Merchant) -> Any:
    return merchant.stripe.v1.disputes


async def charge_of(merchant: Merchant, session: Any) -> Any:
    intent = await merchant.stripe.v1.payment_intents.retrieve_async(
        session.payment_intent, {"expand": ["latest_charge"]}
    )
    return intent.latest_charge


async def test_a_refund_that_succeeded_can_fail_later_and_its_money_can_be_refunded_again(
    merchant: Merchant, receiver: Receiver
) -> None:
    session = await paid_with(merchant, "pm_card_refundFail")
    refund = await refunds(merchant).create_async({"payment_intent": session.payment_intent, "amount": 1000})
    assert (refund.status, (await charge_of(merchant, session)).amount_refunded) == ("succeeded", 1000)
    [posted] = await receiver.wait_for(refund.id, type_="refund.failed")
    assert posted.event["data"]["object"]["failure_reason"] == "expired_or_canceled_card"
    failed = await refunds(merchant).retrieve_async(refund.id)
    charge = await charge_of(merchant, session)
    assert (failed.status, charge.amount_refunded, charge.refunded) == ("failed", 0, False)
    assert sorted(await merchant.ledger(session.id)) == [("charge", 2450), ("refund", 1000), ("refund_failure", 1000)]
    again = await refunds(merchant).create_async({"payment_intent": session.payment_intent})
    assert again.amount == 2450
    after_payment = (await told(merchant, session.id))[3:]
    assert after_payment[:5] == [
        "refund.created", "charge.refunded", "refund.updated", "charge.refund.updated", "refund.failed",
    ]  # fmt: skip


async def test_a_refund_that_takes_a_while_is_pending_until_it_succeeds(merchant: Merchant, receiver: Receiver) -> None:
    session = await paid_with(merchant, "pm_card_pendingRefund")
    refund = await refunds(merchant).create_async({"payment_intent": session.payment_intent})
    assert refund.status == "pending"
    assert (await charge_of(merchant, session)).refunded is True
    [posted] = await receiver.wait_for(refund.id, type_="refund.updated")
    assert posted.event["data"]["object"]["status"] == "succeeded"
    listed = await refunds(merchant).list_async({"payment_intent": session.payment_intent})
    assert [each.status for each in listed.data] == ["succeeded"]


@pytest.mark.parametrize(
    ("way", "changes"),
    [
        (["succeeded", "failed", "succeeded"], [True, True, False]),
        (["failed", "succeeded"], [True, False]),
        (["requires_action", "canceled", "failed"], [True, True, False]),
        (["nonsense", "pending"], [False, False]),
    ],
)
async def test_a_refund_goes_the_ways_that_refunds_go_and_no_others(
    merchant: Merchant, way: list[str], changes: list[bool]
) -> None:
    session = await paid_with(merchant, "pm_card_visa")
    made = await merchant.http.post("/_faults/refund", json={"session_id": session.id, "status": "pending"})
    refund_id = made.json()["id"]
    assert [await become(merchant, refund_id, status) for status in way] == changes
    taken = [status for status, changed in zip(["pending", *way], [True, *changes], strict=True) if changed]
    assert (await refunds(merchant).retrieve_async(refund_id)).status == taken[-1]
    is_undone = taken[-1] in ("failed", "canceled")
    assert (await charge_of(merchant, session)).amount_refunded == (0 if is_undone else 2450)


async def test_of_many_who_let_a_refund_fail_at_once_one_does(merchant: Merchant) -> None:
    session = await paid_with(merchant, "pm_card_visa")
    made = await merchant.http.post("/_faults/refund", json={"session_id": session.id, "status": "pending"})
    changed = await asyncio.gather(*(become(merchant, made.json()["id"], "failed") for _ in range(10)))
    assert changed.count(True) == 1
    assert sorted(await merchant.ledger(session.id)) == [("charge", 2450), ("refund", 2450), ("refund_failure", 2450)]


async def test_only_a_refund_that_waits_for_its_customer_can_be_cancelled_by_the_shop(merchant: Merchant) -> None:
    session = await paid_with(merchant, "pm_card_visa")
    made = await merchant.http.post("/_faults/refund", json={"session_id": session.id, "status": "requires_action"})
    assert (await refunds(merchant).cancel_async(made.json()["id"])).status == "canceled"
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError):
            await refunds(merchant).cancel_async(made.json()["id"])


async def test_a_part_refunded_in_the_dashboard_is_an_event_that_says_so(
    merchant: Merchant, receiver: Receiver
) -> None:
    session = await paid_with(merchant, "pm_card_visa")
    answer = await merchant.http.post("/_faults/refund", json={"session_id": session.id, "amount": 450})
    assert (answer.json()["amount"], answer.json()["metadata"]) == (450, {})
    [posted] = await receiver.wait_for(session.payment_intent, type_="charge.refunded")
    charge = posted.event["data"]["object"]
    assert (charge["amount_refunded"], charge["refunded"]) == (450, False)
    too_much = await merchant.http.post("/_faults/refund", json={"session_id": session.id, "amount": 2001})
    assert (too_much.status_code, too_much.json()["error"]["param"]) == (400, "amount")


async def test_a_disputed_payment_is_withdrawn_cannot_be_refunded_and_is_reinstated_when_won(
    merchant: Merchant, receiver: Receiver
) -> None:
    session = await paid_with(merchant, "pm_card_createDispute")
    [posted] = await receiver.wait_for(session.payment_intent, type_="charge.dispute.created")
    dispute = posted.event["data"]["object"]
    await receiver.wait_for(dispute["id"], type_="charge.dispute.funds_withdrawn")
    assert (dispute["status"], dispute["reason"], dispute["amount"]) == ("needs_response", "fraudulent", 2450)
    assert dispute["evidence_details"]["due_by"] > dispute["created"]
    assert (await charge_of(merchant, session)).disputed is True
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        await refunds(merchant).create_async({"payment_intent": session.payment_intent})
    assert refusal.value.code == "charge_disputed"
    assert sorted(await merchant.ledger(session.id)) == [("charge", 2450), ("dispute", 2450)]

    answered = await disputes(merchant).update_async(
        dispute["id"], {"evidence": {"uncategorized_text": "winning_evidence"}}
    )
    assert (answered.status, answered.evidence_details.has_evidence) == ("under_review", True)
    [closed] = await receiver.wait_for(dispute["id"], type_="charge.dispute.closed")
    await receiver.wait_for(dispute["id"], type_="charge.dispute.funds_reinstated")
    assert closed.event["data"]["object"]["status"] == "won"
    [listed] = (await disputes(merchant).list_async({"payment_intent": session.payment_intent})).data
    assert (listed.id, listed.status) == (dispute["id"], "won")
    assert (await refunds(merchant).create_async({"payment_intent": session.payment_intent})).status == "succeeded"
    assert sorted(await merchant.ledger(session.id)) == [
        ("charge", 2450), ("dispute", 2450), ("dispute_reversal", 2450), ("refund", 2450),
    ]  # fmt: skip


async def test_a_dispute_is_lost_by_losing_evidence_or_by_giving_in(merchant: Merchant, receiver: Receiver) -> None:
    lost = []
    for text in ("losing_evidence", None):
        session = await paid_with(merchant, "pm_card_visa")
        made = await merchant.http.post("/_faults/dispute", json={"session_id": session.id, "amount": 1000})
        dispute_id = made.json()["id"]
        if text is None:
            assert (await disputes(merchant).close_async(dispute_id)).status == "lost"
        else:
            await disputes(merchant).update_async(dispute_id, {"evidence": {"uncategorized_text": text}})
        [closed] = await receiver.wait_for(dispute_id, type_="charge.dispute.closed")
        lost.append(closed.event["data"]["object"]["status"])
        assert sorted(await merchant.ledger(session.id)) == [("charge", 2450), ("dispute", 1000)]
        with pytest.raises(stripe.InvalidRequestError):
            await disputes(merchant).close_async(dispute_id)
        assert not await become(merchant, dispute_id, "won")
    assert lost == ["lost", "lost"]


async def test_an_inquiry_takes_no_money_until_it_becomes_a_dispute(merchant: Merchant, receiver: Receiver) -> None:
    session = await paid_with(merchant, "pm_card_createDisputeInquiry")
    [posted] = await receiver.wait_for(session.payment_intent, type_="charge.dispute.created")
    dispute = posted.event["data"]["object"]
    assert (dispute["status"], dispute["is_charge_refundable"]) == ("warning_needs_response", True)
    assert await merchant.ledger(session.id) == [("charge", 2450)]
    assert await become(merchant, dispute["id"], "needs_response")
    assert sorted(await merchant.ledger(session.id)) == [("charge", 2450), ("dispute", 2450)]
    assert (await told(merchant, session.id))[-2:] == ["charge.dispute.updated", "charge.dispute.funds_withdrawn"]


@pytest.mark.parametrize("status", ["won", "lost"])
async def test_a_dispute_is_decided_once_whoever_says_so_and_how_often(merchant: Merchant, status: str) -> None:
    session = await paid_with(merchant, "pm_card_visa")
    made = await merchant.http.post("/_faults/dispute", json={"session_id": session.id})
    other = {"won": "lost", "lost": "won"}[status]
    assert await become(merchant, made.json()["id"], status)
    assert [await become(merchant, made.json()["id"], each) for each in (status, other)] == [False, False]
    second = await merchant.http.post("/_faults/dispute", json={"session_id": session.id})
    assert second.status_code == 400


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


async def test_a_debit_that_was_paid_and_is_taken_back_is_a_dispute_that_is_lost_at_once(
    merchant: Merchant, receiver: Receiver
) -> None:
    session = await paid_with(merchant, "pm_usBankAccount_dispute")
    [posted] = await receiver.wait_for(session.payment_intent, type_="charge.dispute.closed")
    dispute = posted.event["data"]["object"]
    assert (dispute["status"], dispute["reason"]) == ("lost", "debit_not_authorized")
    assert await merchant.ledger(session.id) == [("charge", 2450), ("dispute", 2450)]
    kinds = [each for each in await told(merchant, session.id) if "dispute" in each]
    assert kinds == ["charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed"]


async def test_an_inquiry_is_escalated_by_evidence_that_says_so(merchant: Merchant, receiver: Receiver) -> None:
    session = await paid_with(merchant, "pm_card_createDisputeInquiry")
    [posted] = await receiver.wait_for(session.payment_intent, type_="charge.dispute.created")
    evidence = {"uncategorized_text": "escalate_inquiry_evidence"}
    answered = await disputes(merchant).update_async(posted.event["data"]["object"]["id"], {"evidence": evidence})
    assert answered.status == "warning_under_review"
    await receiver.wait_for(answered.id, type_="charge.dispute.funds_withdrawn")
    assert (await disputes(merchant).retrieve_async(answered.id)).status == "needs_response"


@pytest.mark.parametrize(("amount", "taken"), [(None, 1450), (2450, 2450), (2451, None)])
async def test_a_bank_takes_back_what_is_left_unless_it_says_how_much_of_what_was_paid(
    merchant: Merchant, amount: int | None, taken: int | None
) -> None:
    session = await paid_with(merchant, "pm_card_visa")
    await refunds(merchant).create_async({"payment_intent": session.payment_intent, "amount": 1000})
    answer = await merchant.http.post("/_faults/dispute", json={"session_id": session.id, "amount": amount})
    assert answer.json().get("amount") == taken, answer.text


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


@pytest.mark.parametrize(("amount", "status"), [(2450, "warning_closed"), (2449, "warning_needs_response")])
async def test_an_inquiry_about_money_that_is_all_given_back_is_closed(
    merchant: Merchant, receiver: Receiver, amount: int, status: str
) -> None:
    session = await paid_with(merchant, "pm_card_createDisputeInquiry")
    [posted] = await receiver.wait_for(session.payment_intent, type_="charge.dispute.created")
    dispute_id = posted.event["data"]["object"]["id"]
    await refunds(merchant).create_async({"payment_intent": session.payment_intent, "amount": amount})
    if status == "warning_closed":
        await receiver.wait_for(dispute_id, type_="charge.dispute.closed")
    else:
        assert await merchant.rows("SELECT 1 FROM payments.later WHERE subject = :id", id=session.id) == []
    assert (await disputes(merchant).retrieve_async(dispute_id)).status == status
