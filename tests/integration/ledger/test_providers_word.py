"""What the provider tells of refunds and payments: in any order, twice, late, it comes to the same."""

import itertools

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.orders import CartLine, Order
from checkout.payments import (
    PaymentState,
    ProviderPayment,
    ProviderRefund,
)
from db import ledger
from tests.integration.ledger.steps import CART, FAILED, PENDING, SUCCEEDED, TOTAL, ask, hear, intent_of, status, take
from tests.support.orders import awaiting, fulfil, on_hand, scalar, violations
from tests.support.provider import FakeProvider
from worker.activities.money import MoneyActivities


async def test_whatever_is_told_of_refunds_in_any_order_comes_to_the_same(engine: AsyncEngine) -> None:
    """One of ours, two of the dashboard; each word told twice, and late."""
    words = [
        [ProviderRefund("re_1", 500, PENDING)],
        [ProviderRefund("re_1", 500, FAILED), ProviderRefund("re_2", 700, SUCCEEDED)],
        [ProviderRefund("re_1", 500, FAILED), ProviderRefund("re_2", 700, FAILED)],
    ]
    for number, told in enumerate(itertools.permutations(words)):
        order = await fulfil(engine, await awaiting(engine, f"o{number}", CartLine("pen", 2)))
        for each in (*told, told[-1], words[-1]):
            renamed = [ProviderRefund(f"{one.provider_refund_id}_{number}", one.amount, one.state) for one in each]
            await hear(engine, order, renamed)
        states = f"SELECT array_agg(state ORDER BY amount) FROM shop.refunds WHERE order_id = '{order.order_id}'"
        assert await scalar(engine, states) == ["failed", "failed"]
    assert await scalar(engine, "SELECT bool_and(NOT on_hold) FROM shop.orders")


async def test_a_refund_that_succeeds_and_then_fails_is_owed_again_under_another_name(
    engine: AsyncEngine, order: Order
) -> None:
    first = await take(engine, await ask(engine, order))
    assert await status(engine) == "refunded"
    outcome = await hear(engine, order, [ProviderRefund("re_1", TOTAL, FAILED, refund_id=first.id)])
    [again] = outcome.to_make
    assert (again.amount, again.attempt, again.id != first.id) == (TOTAL, 2, True)
    assert (await hear(engine, order, [ProviderRefund("re_1", TOTAL, FAILED)])).to_make == [again]
    await take(engine, again, FAILED, "re_2")
    told = [ProviderRefund("re_1", TOTAL, FAILED), ProviderRefund("re_2", TOTAL, FAILED)]
    assert (await hear(engine, order, told)).to_make == [], "the third has to wait for its turn"
    assert await scalar(engine, "SELECT look_at BETWEEN now() + interval '20 s' AND now() + interval '40 s'"
                                " FROM shop.payments")  # fmt: skip
    assert await on_hand(engine, "limited-print") == 10


async def test_an_order_ends_once_however_often_its_refund_is_told(engine: AsyncEngine, order: Order) -> None:
    refund = await take(engine, await ask(engine, order))
    for _ in range(2):
        await hear(engine, order, [ProviderRefund("re_1", TOTAL, SUCCEEDED, refund_id=refund.id)])
    assert await scalar(engine, "SELECT count(*) FROM shop.order_events WHERE kind = 'refunded'") == 1
    assert await on_hand(engine, "limited-print") == 10


async def test_what_was_given_back_in_the_dashboard_is_a_fact_and_what_no_longer_fits_ends(
    engine: AsyncEngine, order: Order
) -> None:
    wish = await ask(engine, order)
    outcome = await hear(engine, order, [ProviderRefund("re_x", 5_000, SUCCEEDED)])
    assert outcome.to_make == []
    assert await scalar(engine, "SELECT state FROM shop.refunds WHERE id = :id", id=wish.id) == "cancelled"
    assert await status(engine) == "fulfilled"
    assert (await ask(engine, order, "k2")).amount == TOTAL - 5_000


async def test_an_answer_older_than_what_is_written_is_not_written_over_it(engine: AsyncEngine, order: Order) -> None:
    async with engine.begin() as connection:
        version = await ledger.version_of(connection, intent_of(order))
    assert version is not None
    await hear(engine, order, [ProviderRefund("re_1", 500, SUCCEEDED)])
    payment = ProviderPayment(intent_of(order), PaymentState.PAID, TOTAL, "usd")
    async with engine.begin() as connection:
        stale = [ProviderRefund("re_1", 500, PENDING)]
        assert await ledger.record(connection, version, payment, stale, []) is None


@pytest.mark.parametrize("is_tried_again", [False, True])
async def test_a_refund_that_was_given_up_and_had_been_taken_all_the_same_counts(
    engine: AsyncEngine, order: Order, is_tried_again: bool
) -> None:
    """Its answer was lost, and whoever asked again was refused: a key that is not valid any more, say."""
    refund = await ask(engine, order, amount=10_000)
    async with engine.begin() as connection:
        await ledger.give_up(connection, refund, "no such key")
    if is_tried_again:
        assert (await ask(engine, order, amount=10_000)).attempt == 2
    made = ProviderRefund("re_1", 10_000, SUCCEEDED, refund_id=refund.id)
    for _ in range(2):
        outcome = await hear(engine, order, [made])
        assert outcome.to_make == []
    assert (
        await scalar(engine, "SELECT sum(amount) FROM shop.refunds WHERE state IN ('pending', 'succeeded')") == 10_000
    )
    await ask(engine, order, "the rest")
    await hear(engine, order, [made, ProviderRefund("re_2", TOTAL - 10_000, SUCCEEDED)])
    assert await status(engine) == "refunded"
    assert await violations(engine) == []


async def test_what_has_come_to_nothing_is_not_made_by_who_remembers_it(engine: AsyncEngine, order: Order) -> None:
    provider = FakeProvider()
    refund = await ask(engine, order, amount=500)
    async with engine.begin() as connection:
        await ledger.give_up(connection, refund, "refused")
    now = await MoneyActivities(engine, provider).make_refund(refund)
    assert (now.state, provider.calls) == (FAILED, [])


async def test_a_payment_that_failed_and_is_tried_again_has_failed_until_it_is_paid(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k", *CART)
    states = []
    for state in (PaymentState.PROCESSING, PaymentState.FAILED, PaymentState.PROCESSING, PaymentState.PAID):
        payment = ProviderPayment("pi_1", state, TOTAL, "usd", order.order_id)
        async with engine.begin() as connection:
            await ledger.enter_payment(connection, payment, order.order_id)
            version = await ledger.version_of(connection, "pi_1")
            assert version is not None
            await ledger.record(connection, version, payment, [], [])
        states.append(await scalar(engine, "SELECT state FROM shop.payments"))
    assert states == ["processing", "failed", "failed", "paid"]
