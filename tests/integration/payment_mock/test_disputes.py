"""Disputes and inquiries at the payment service: what they take, how they end, what they forbid meanwhile."""

import pytest
import stripe

from tests.integration.payment_mock.after_payment import become, charge_of, disputes, paid_with, refunds, told
from tests.integration.payment_mock.conftest import Merchant
from tests.integration.payment_mock.serving import Receiver


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


@pytest.mark.parametrize("text", ["losing_evidence", None])
async def test_a_dispute_is_lost_by_losing_evidence_or_by_giving_in(
    merchant: Merchant, receiver: Receiver, text: str | None
) -> None:
    session = await paid_with(merchant, "pm_card_visa")
    made = await merchant.http.post("/_faults/dispute", json={"session_id": session.id, "amount": 1000})
    dispute_id = made.json()["id"]
    if text is None:
        assert (await disputes(merchant).close_async(dispute_id)).status == "lost"
    else:
        await disputes(merchant).update_async(dispute_id, {"evidence": {"uncategorized_text": text}})
    [closed] = await receiver.wait_for(dispute_id, type_="charge.dispute.closed")
    assert closed.event["data"]["object"]["status"] == "lost"
    assert sorted(await merchant.ledger(session.id)) == [("charge", 2450), ("dispute", 1000)]
    with pytest.raises(stripe.InvalidRequestError):
        await disputes(merchant).close_async(dispute_id)
    assert not await become(merchant, dispute_id, "won")


async def test_evidence_that_is_not_submitted_yet_decides_nothing(merchant: Merchant) -> None:
    session = await paid_with(merchant, "pm_card_visa")
    made = await merchant.http.post("/_faults/dispute", json={"session_id": session.id})
    evidence = {"uncategorized_text": "winning_evidence"}
    kept = await disputes(merchant).update_async(made.json()["id"], {"evidence": evidence, "submit": False})
    assert (kept.status, kept.evidence_details.has_evidence) == ("needs_response", False)
    given = await disputes(merchant).update_async(made.json()["id"], {"evidence": evidence})
    assert (given.status, given.evidence_details.submission_count) == ("under_review", 1)
    with pytest.raises(stripe.InvalidRequestError, match="under review"):
        await disputes(merchant).update_async(made.json()["id"], {"evidence": evidence})


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
