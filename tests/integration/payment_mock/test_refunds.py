"""Refunds at the payment service, whole and in part, to their end; the official library is the witness."""

import asyncio

import pytest
import stripe

from tests.integration.payment_mock.after_payment import become, charge_of, paid_with, refunds, told
from tests.integration.payment_mock.conftest import Merchant
from tests.integration.payment_mock.serving import Receiver


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
