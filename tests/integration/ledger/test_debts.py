"""Money that is owed, and payments that are looked at again: how much, when, and in which order."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.errors import PaymentUnknown
from checkout.orders import Order, OrderStatus, Reason
from checkout.payments import (
    PaymentState,
    ProviderPayment,
    ProviderRefund,
)
from db import ledger, orders
from tests.integration.ledger.steps import CART, FAILED, SUCCEEDED, ask, hear, intent_of, status, take
from tests.support.orders import awaiting, scalar


async def test_what_is_owed_again_is_looked_at_whoever_writes_next(engine: AsyncEngine, order: Order) -> None:
    due = "SELECT look_at FROM shop.payments"
    broken = await ask(engine, order, amount=500)
    assert (await take(engine, broken, FAILED)).state is FAILED  # its answer was lost, and the next one says so
    assert await scalar(engine, due) is not None
    outcome = await hear(engine, order, [ProviderRefund("re_1", 500, FAILED, refund_id=broken.id)])
    [again] = outcome.to_make
    await take(engine, again, FAILED, "re_2")  # so that the third has to wait for its turn
    planned = await scalar(engine, due)
    await take(engine, await ask(engine, order, "k2", amount=700), name="re_3")
    assert planned is not None
    assert await scalar(engine, due) == planned
    refused = await ask(engine, order, "k3", amount=100)
    async with engine.begin() as connection:
        await ledger.give_up(connection, refused, "refused")
    assert await scalar(engine, due) == planned


async def test_what_is_owed_for_an_order_that_waits_is_asked_for_anew_after_it_made_room(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k", *CART)
    payment = ProviderPayment("pi_1", PaymentState.PAID, 2_000, "usd", order.order_id)
    elsewhere = ProviderRefund("re_1", 500, SUCCEEDED)
    async with engine.begin() as connection:
        await ledger.owe(connection, payment, order.order_id, Reason.PAYMENT_MISMATCH)
    async with engine.begin() as connection:
        version = await ledger.version_of(connection, "pi_1")
        assert version is not None
        await ledger.record(connection, version, payment, [elsewhere], [])
    async with engine.begin() as connection:
        outcome = await ledger.owe(connection, payment, order.order_id, Reason.PAYMENT_MISMATCH)
    assert [one.amount for one in outcome.to_make] == [1_500]


async def test_late_money_is_owed_once_however_often_it_is_told(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "late")
    async with engine.begin() as connection:
        await orders.close_order(
            connection,
            order.order_id,
            OrderStatus.CANCELLED,
            Reason.TIMEOUT,
            leaving=[OrderStatus.AWAITING_PAYMENT],
        )
    payment = ProviderPayment("pi_late", PaymentState.PAID, 900, "usd", order.order_id)
    for _ in range(2):
        async with engine.begin() as connection:
            outcome = await ledger.owe(connection, payment, order.order_id, Reason.LATE_PAYMENT)
        assert [one.amount for one in outcome.to_make] == [900], "what came, not what had been agreed"
    await take(engine, outcome.to_make[0])
    assert await status(engine) == "refunded"
    assert await scalar(engine, "SELECT reason FROM shop.orders") == "late_payment"


async def test_a_second_payment_of_an_order_is_said_to_be_none_of_its(engine: AsyncEngine, order: Order) -> None:
    payment = ProviderPayment("pi_second", PaymentState.PAID, 900, "usd", order.order_id)
    with pytest.raises(PaymentUnknown, match=f"pi_second is not that of order {order.order_id}"):
        async with engine.begin() as connection:
            await ledger.owe(connection, payment, order.order_id, Reason.LATE_PAYMENT)


@pytest.mark.parametrize(("age", "next_check"), [(0, 7), (6, 7), (7, 30), (29, 30), (31, 120), (121, None)])
async def test_a_payment_at_rest_is_checked_now_and_then_in_its_first_months(
    engine: AsyncEngine, order: Order, age: int, next_check: int | None
) -> None:
    """Days. Whoever looks meanwhile, for whatever reason, has looked."""
    async with engine.begin() as connection:
        statement = "UPDATE shop.payments SET at = at - CAST(:age AS interval), check_at = now()"
        await connection.execute(text(statement), {"age": timedelta(days=age)})
    assert await due(engine) == [intent_of(order)]
    await hear(engine, order)
    assert await due(engine) == []
    planned = await scalar(engine, "SELECT check_at - at FROM shop.payments")
    assert planned == (timedelta(days=next_check) if next_check else None)


async def test_what_stands_open_is_looked_at_before_what_is_at_rest_and_of_that_only_some(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        for number in range(60):
            payment = ProviderPayment(f"pi_{number}", PaymentState.PAID, 100, "usd")
            await ledger.enter_payment(connection, payment, None)
        await connection.execute(text("UPDATE shop.payments SET check_at = now() - interval '1 hour'"))
        urgent = "UPDATE shop.payments SET look_at = now() WHERE payment_intent_id IN ('pi_58', 'pi_59')"
        await connection.execute(text(urgent))
    found = await due(engine)
    assert sorted(found[:2]) == ["pi_58", "pi_59"]
    assert len(found) == len(set(found)) == 52
    assert len(await due(engine, 1)) == 1


async def due(engine: AsyncEngine, limit: int = 100) -> list[str]:
    async with engine.connect() as connection:
        return [one.payment_intent_id for one in await ledger.due_payments(connection, limit)]
