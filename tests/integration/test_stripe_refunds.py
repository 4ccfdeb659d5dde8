"""Refunds through the Stripe adapter, at the payment service in this process: all of the money, once."""

import asyncio

import asyncpg
import pytest

from checkout.errors import PaymentError, PaymentRefused, PaymentUnknown, PaymentUnreachable
from tests.integration.simulator import Simulator
from tests.support.eventually import eventually

KEYS = "SELECT count(*) FROM payments.idempotency_keys WHERE endpoint LIKE '%refund%'"


async def test_every_attempt_of_a_refund_carries_the_same_key(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    for _ in range(2):
        await simulator.provider.refund(intent)
    assert await simulator.refunds(intent) == [2000]
    assert await simulator.count(KEYS) == 1


async def test_after_a_lost_reply_there_is_one_refund(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    await simulator.fault("refund.after", "drop")
    with pytest.raises(PaymentUnreachable):
        await simulator.provider.refund(intent)
    await simulator.provider.refund(intent)
    assert await simulator.refunds(intent) == [2000]


async def test_what_was_refused_once_is_given_back_as_soon_as_the_refusal_is_mended(simulator: Simulator) -> None:
    """The provider repeats a refusal under its key for a day."""
    intent = await simulator.paid_intent()
    await simulator.fault("refund.before", "sticky_error", status=400, times=3)
    for _ in range(3):
        with pytest.raises(PaymentRefused):
            await simulator.provider.refund(intent)
    await simulator.provider.refund(intent)
    assert await simulator.refunds(intent) == [2000]
    assert await simulator.count(KEYS) == 4


async def test_a_stored_500_does_not_keep_the_money_for_a_day(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    await simulator.fault("refund.before", "sticky_error", status=500)
    with pytest.raises(PaymentUnreachable):
        await simulator.provider.refund(intent)
    await simulator.provider.refund(intent)
    assert await simulator.refunds(intent) == [2000]


async def test_a_stored_error_that_hides_a_refund_makes_no_second_one(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    await simulator.fault("refund.after", "sticky_error", status=500)
    with pytest.raises(PaymentUnreachable):
        await simulator.provider.refund(intent)
    await simulator.provider.refund(intent)
    assert await simulator.refunds(intent) == [2000]
    assert await simulator.count(KEYS) == 1


@pytest.mark.parametrize("lost", ["before", "after"])
async def test_after_a_lost_reply_under_the_second_key_there_is_one_refund(simulator: Simulator, lost: str) -> None:
    intent = await simulator.paid_intent()
    await simulator.fault("refund.before", "sticky_error", status=400)
    with pytest.raises(PaymentRefused):
        await simulator.provider.refund(intent)
    await simulator.fault(f"refund.{lost}", "drop")
    with pytest.raises(PaymentUnreachable):
        await simulator.provider.refund(intent)
    await simulator.provider.refund(intent)
    assert await simulator.refunds(intent) == [2000]


async def test_many_at_once_who_find_the_first_key_used_up_make_one_refund(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    await simulator.fault("refund.before", "sticky_error", status=400)
    with pytest.raises(PaymentRefused):
        await simulator.provider.refund(intent)

    async def insist() -> None:
        while True:
            try:
                return await simulator.provider.refund(intent)
            except PaymentError:
                await asyncio.sleep(0.02)  # another one is at it under the same key

    await asyncio.gather(*(insist() for _ in range(8)))
    assert await simulator.refunds(intent) == [2000]
    assert await simulator.count(KEYS) == 2


async def test_a_refund_that_failed_days_later_is_owed_again_and_made_under_the_next_key(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    await simulator.provider.refund(intent)
    [made] = (await simulator.get(f"/v1/refunds?payment_intent={intent}"))["data"]
    await simulator.become(made["id"], "failed")
    assert not await simulator.provider.is_refunded(intent)
    for _ in range(2):
        await simulator.provider.refund(intent)
    listed = (await simulator.get(f"/v1/refunds?payment_intent={intent}"))["data"]
    assert [(each["status"], each["metadata"]["attempt"]) for each in listed] == [("succeeded", "2"), ("failed", "1")]
    assert await simulator.count(KEYS) == 2


async def test_a_refund_that_is_still_on_its_way_is_not_made_twice(simulator: Simulator) -> None:
    paid = await simulator.paid()
    (
        await simulator.http.post("/_faults/refund", json={"session_id": paid.session_id, "status": "pending"})
    ).raise_for_status()
    await simulator.provider.refund(str(paid.payment_intent_id))
    assert not await simulator.provider.is_refunded(str(paid.payment_intent_id))
    assert await simulator.refunds(str(paid.payment_intent_id)) == [2000]


async def test_what_was_given_back_past_the_shop_is_not_given_back_again(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    (await simulator.post("/v1/refunds", {"payment_intent": intent, "amount": 300})).raise_for_status()
    await simulator.provider.refund(intent)
    await simulator.provider.refund(intent)
    assert await simulator.refunds(intent) == [300, 1700]


async def test_money_given_back_past_the_shop_is_seen_once_it_is_all(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    for amount, is_all in ((None, False), (1, False), (1999, True)):
        if amount is not None:
            (await simulator.post("/v1/refunds", {"payment_intent": intent, "amount": amount})).raise_for_status()
        assert await simulator.provider.is_refunded(intent) is is_all


async def test_money_given_back_in_more_parts_than_a_page_holds_is_all_counted(simulator: Simulator) -> None:
    intent = await simulator.paid_intent()
    for amount in [1900, *[1] * 100]:
        (await simulator.post("/v1/refunds", {"payment_intent": intent, "amount": amount})).raise_for_status()
    assert await simulator.provider.is_refunded(intent)


async def test_a_payment_that_the_provider_does_not_know_is_told_so(simulator: Simulator) -> None:
    with pytest.raises(PaymentUnknown):
        await simulator.provider.refund("pi_of_somebody_else")


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
