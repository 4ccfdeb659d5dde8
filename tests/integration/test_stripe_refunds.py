"""Refunds and disputes through the Stripe adapter, at the payment service in this process: each made once, all seen."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from checkout.errors import PaymentError, PaymentRefused, PaymentUnknown, PaymentUnreachable
from checkout.payments import PaymentState, ProviderRefund, Refund, RefundState, RequestedBy
from tests.integration.simulator import Simulator
from tests.support.eventually import eventually

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = "SELECT count(*) FROM payments.idempotency_keys WHERE endpoint LIKE '%refund%'"


def wanted(intent: str, amount: int = 2000, refund_id: str = "rfd_1") -> Refund:
    state, by = RefundState.PENDING, RequestedBy.OPERATOR
    return Refund(refund_id, intent, "ord_1", amount, "usd", state, by, AT)


async def test_every_attempt_of_a_refund_carries_the_same_key(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    refund = wanted(intent)
    for _ in range(2):
        await simulator.provider.refund(refund)
    assert await simulator.refunds(intent) == [2000]
    assert await simulator.count(KEYS) == 1


async def test_after_a_lost_reply_there_is_one_refund(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    refund = wanted(intent)
    await simulator.fault("refund.after", "drop")
    with pytest.raises(PaymentUnreachable):
        await simulator.provider.refund(refund)
    await simulator.provider.refund(refund)
    assert await simulator.refunds(intent) == [2000]


async def test_what_was_refused_once_is_given_back_as_soon_as_the_refusal_is_mended(simulator: Simulator) -> None:
    """The provider repeats a refusal under its key for a day."""
    intent = await simulator.paid_intent()
    refund = wanted(intent)
    await simulator.fault("refund.before", "sticky_error", status=400, times=3)
    for _ in range(3):
        with pytest.raises(PaymentRefused):
            await simulator.provider.refund(refund)
    await simulator.provider.refund(refund)
    assert await simulator.refunds(intent) == [2000]
    assert await simulator.count(KEYS) == 4


async def test_a_stored_500_does_not_keep_the_money_for_a_day(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    refund = wanted(intent)
    await simulator.fault("refund.before", "sticky_error", status=500)
    with pytest.raises(PaymentUnreachable):
        await simulator.provider.refund(refund)
    await simulator.provider.refund(refund)
    assert await simulator.refunds(intent) == [2000]


async def test_a_stored_error_that_hides_a_refund_makes_no_second_one(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    refund = wanted(intent)
    await simulator.fault("refund.after", "sticky_error", status=500)
    with pytest.raises(PaymentUnreachable):
        await simulator.provider.refund(refund)
    await simulator.provider.refund(refund)
    assert await simulator.refunds(intent) == [2000]
    assert await simulator.count(KEYS) == 1


@pytest.mark.parametrize("lost", ["before", "after"])
async def test_after_a_lost_reply_under_the_second_key_there_is_one_refund(simulator: Simulator, lost: str) -> None:
    intent = await simulator.paid_intent()
    refund = wanted(intent)
    await simulator.fault("refund.before", "sticky_error", status=400)
    with pytest.raises(PaymentRefused):
        await simulator.provider.refund(refund)
    await simulator.fault(f"refund.{lost}", "drop")
    with pytest.raises(PaymentUnreachable):
        await simulator.provider.refund(refund)
    await simulator.provider.refund(refund)
    assert await simulator.refunds(intent) == [2000]


async def test_many_at_once_who_find_the_first_key_used_up_make_one_refund(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    refund = wanted(intent)
    await simulator.fault("refund.before", "sticky_error", status=400)
    with pytest.raises(PaymentRefused):
        await simulator.provider.refund(refund)

    async def insist() -> ProviderRefund:
        while True:
            try:
                return await simulator.provider.refund(refund)
            except PaymentError:
                await asyncio.sleep(0.02)  # another one is at it under the same key

    await asyncio.gather(*(insist() for _ in range(8)))
    assert await simulator.refunds(intent) == [2000]
    assert await simulator.count(KEYS) == 2


async def test_another_refund_of_the_same_payment_is_made_under_a_key_of_its_own(simulator: Simulator) -> None:
    """The first one failed days later, say."""
    intent = await simulator.paid_intent()
    first = await simulator.provider.refund(wanted(intent))
    await simulator.become(first.provider_refund_id, "failed")
    second = await simulator.provider.refund(wanted(intent, refund_id="rfd_2"))
    seen = [(one.refund_id, one.state) for one in await simulator.provider.refunds_of(intent)]
    assert seen == [("rfd_1", RefundState.FAILED), ("rfd_2", RefundState.SUCCEEDED)]
    assert (second.amount, await simulator.count(KEYS)) == (2000, 2)


async def test_a_refund_that_was_made_is_answered_as_it_is_though_its_key_is_forgotten(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    made = await simulator.provider.refund(wanted(intent, amount=500))
    await simulator.become(made.provider_refund_id, "failed")
    await simulator.execute("DELETE FROM payments.idempotency_keys")
    again = await simulator.provider.refund(wanted(intent, amount=500))
    assert (again.provider_refund_id, again.state) == (made.provider_refund_id, RefundState.FAILED)
    assert await simulator.refunds(intent) == [500]


@pytest.mark.parametrize(
    ("status", "state", "requires_action"),
    [("pending", RefundState.PENDING, False), ("requires_action", RefundState.PENDING, True)],
)
async def test_a_refund_made_past_the_shop_is_seen_as_it_is(
    simulator: Simulator, status: str, state: RefundState, requires_action: bool
) -> None:
    paid = await simulator.paid()
    body = {"session_id": paid.session_id, "amount": 300, "status": status}
    (await simulator.http.post("/_faults/refund", json=body)).raise_for_status()
    [seen] = await simulator.provider.refunds_of(str(paid.payment_intent_id))
    assert (seen.amount, seen.state, seen.requires_action, seen.refund_id) == (300, state, requires_action, None)
    await simulator.become(seen.provider_refund_id, "canceled")
    [seen] = await simulator.provider.refunds_of(str(paid.payment_intent_id))
    assert seen.state is RefundState.CANCELLED


async def test_a_dispute_is_seen_with_its_time_for_evidence(simulator: Simulator) -> None:
    paid = await simulator.paid()
    (await simulator.http.post("/_faults/dispute", json={"session_id": paid.session_id})).raise_for_status()
    [seen] = await simulator.provider.disputes_of(str(paid.payment_intent_id))
    assert (seen.amount, seen.state, seen.reason) == (2000, "needs_response", "fraudulent")
    assert seen.evidence_due_by is not None
    with pytest.raises(PaymentRefused, match="charged back"):
        await simulator.provider.refund(wanted(str(paid.payment_intent_id)))


async def test_money_given_back_in_more_parts_than_a_page_holds_is_all_seen(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    for amount in [1900, *[1] * 100]:
        (await simulator.post("/v1/refunds", {"payment_intent": intent, "amount": amount})).raise_for_status()
    seen = await simulator.provider.refunds_of(intent)
    assert (len(seen), seen[0].amount, sum(one.amount for one in seen)) == (101, 1900, 2000)


async def test_a_payment_that_the_provider_does_not_know_is_told_so(simulator: Simulator) -> None:
    with pytest.raises(PaymentUnknown):
        await simulator.provider.payment("pi_of_somebody_else")


async def test_a_payment_is_seen_with_the_order_that_it_is_for(simulator: Simulator) -> None:
    paid = await simulator.paid()
    seen = await simulator.provider.payment(str(paid.payment_intent_id))
    assert (seen.state, seen.amount, seen.currency, seen.order_id) == (PaymentState.PAID, 2000, "usd", paid.order_id)


async def test_of_two_refunds_that_saw_the_same_charge_one_is_made_and_the_other_is_told_so(
    simulator: Simulator,
) -> None:
    paid = await simulator.paid()

    async def refund() -> tuple[int, str]:
        answer = await simulator.post("/v1/refunds", {"payment_intent": paid.payment_intent_id})
        return answer.status_code, answer.json().get("error", {}).get("code", "")

    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

    async def both_wait() -> bool:
        return await simulator.count(waiting) == 2

    # Somebody holds the row: both read what was paid, and neither can write before the other has read.
    connection = await asyncpg.connect(simulator.database_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM payments.sessions WHERE id = $1 FOR UPDATE", paid.session_id)
            refunds = [asyncio.create_task(refund()) for _ in range(2)]
            await eventually(both_wait, what="both refunds at the lock")
    finally:
        await connection.close()
    assert sorted(await asyncio.gather(*refunds)) == [(200, ""), (400, "charge_already_refunded")]
    assert await simulator.count("SELECT sum(amount) FROM payments.refunds") == 2000
