"""The guarded transitions of orders, each by the smallest test that notices a guard gone (planted bugs run these)."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.contracts import CartLine, Order, OrderStatus, PaymentSession, Reason, RefundInput
from checkout.errors import PaymentRefused
from db import inventory, orders
from db.audit import audit_ledgers
from tests.integration.test_open_order import awaiting, close, fulfil, on_hand, open_order, scalar
from tests.support.databases import patient
from tests.support.eventually import eventually
from tests.support.provider import FakeProvider, always
from worker.activities.payments import IDEMPOTENCY_KEY_LIFETIME, PaymentActivities

PRINTS = CartLine("limited-print", 1)


@pytest.fixture
def engine(engine: AsyncEngine) -> AsyncEngine:
    return patient(engine)


async def record(engine: AsyncEngine, order: Order, session_id: str) -> Order:
    async with engine.begin() as connection:
        return await orders.record_session(connection, order.order_id, PaymentSession(session_id, "https://pay"))


async def events(engine: AsyncEngine, kind: str) -> int:
    return int(await scalar(engine, "SELECT count(*) FROM shop.order_events WHERE kind = :kind", kind=kind))


async def violations(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return [text for finding in await audit_ledgers(connection, timedelta(0)) for text in finding.violations]


async def test_a_session_recorded_for_an_order_that_has_ended_changes_nothing(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k")
    await close(engine, order)
    late = await record(engine, order, "cs_late")
    assert (late.status, late.session) == (OrderStatus.CANCELLED, None)
    assert await events(engine, "awaiting_payment") == 0


async def test_a_session_recorded_twice_is_told_once_and_the_first_stays(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k")
    again = await record(engine, order, "cs_another")
    assert again.session == order.session
    assert await events(engine, "awaiting_payment") == 1


async def test_an_order_that_was_cancelled_is_not_fulfilled(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k")
    await close(engine, order)
    assert (await fulfil(engine, order)).status is OrderStatus.CANCELLED
    assert await on_hand(engine, "pen") == 100_000


async def test_a_refund_told_again_returns_the_stock_of_a_fulfilled_order_once(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k", CartLine("limited-print", 4))
    await fulfil(engine, order)
    payments = PaymentActivities(engine, FakeProvider())
    for _ in range(2):
        ended = await payments.refund_payment(RefundInput(f"pi_{order.order_id}", Reason.OPERATOR, order.order_id))
        assert ended is not None
        assert ended.status is OrderStatus.REFUNDED
    assert await on_hand(engine, "limited-print") == 10
    assert await events(engine, "refunded") == 1
    assert await violations(engine) == []


async def test_more_buyers_than_units_sell_exactly_the_units(engine: AsyncEngine) -> None:
    opened = await asyncio.gather(*(open_order(engine, f"b{number}", PRINTS) for number in range(16)))
    statuses = [order.status for order in opened]
    assert (statuses.count(OrderStatus.PENDING), statuses.count(OrderStatus.REJECTED)) == (10, 6)
    assert await violations(engine) == []


@pytest.mark.parametrize("closing", [False, True])
async def test_carts_in_opposite_order_wait_for_each_other_in_one_order(engine: AsyncEngine, closing: bool) -> None:
    """Somebody holds the *second* product of one cart and wants the first: without one order that is a deadlock."""
    first, second = CartLine("notebook", 1), CartLine("pen", 1)
    order = await open_order(engine, "mine", second, first)
    blocked = asyncio.Event()

    async def other_cart() -> None:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT 1 FROM shop.products WHERE sku = 'notebook' FOR UPDATE"))
            blocked.set()
            await eventually(ours_waits, what="the other cart at the lock")
            await connection.execute(text("SELECT 1 FROM shop.products WHERE sku = 'pen' FOR UPDATE"))

    async def ours_waits() -> bool:
        statement = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with engine.connect() as connection:
            return bool((await connection.execute(text(statement))).scalar_one())

    async def ours() -> None:
        await blocked.wait()
        if closing:
            await close(engine, order)
        else:
            await open_order(engine, "ours", second, first)

    await asyncio.gather(other_cart(), ours())
    assert await violations(engine) == []


async def test_an_order_older_than_the_providers_memory_is_looked_up_before_a_session_is_asked_for(
    engine: AsyncEngine,
) -> None:
    order, provider = await open_order(engine, "k"), FakeProvider()
    payments = PaymentActivities(engine, provider)
    opened = await payments.create_payment_session(order)
    provider.calls.clear()
    old = replace(order, created_at=datetime.now(UTC) - IDEMPOTENCY_KEY_LIFETIME - timedelta(minutes=1))
    assert (await payments.create_payment_session(old)).session == opened.session
    assert provider.calls == ["find"]


async def test_a_refusal_is_believed_only_when_no_session_is_found(engine: AsyncEngine) -> None:
    order, provider = await open_order(engine, "k"), FakeProvider()
    provider.fail["create"] = always(PaymentRefused("no"))
    with pytest.raises(PaymentRefused):
        await PaymentActivities(engine, provider).create_payment_session(order)
    assert provider.calls == ["create", "find"]


@pytest.mark.parametrize("status", ["pending", "awaiting_payment", "fulfilled", "rejected"])
async def test_an_end_is_an_end_whatever_a_statement_says(engine: AsyncEngine, status: str) -> None:
    """The trigger by itself: everything else that could refuse the jump is satisfied."""
    order = await awaiting(engine, "k")
    await close(engine, order)
    with pytest.raises(IntegrityError, match=f"no way from cancelled to {status}"):
        async with engine.begin() as connection:
            await connection.execute(
                text(
                    "UPDATE shop.orders SET status = :status, fulfilled_at = now(), dispatch_due_at = now(),"
                    " reason = 'timeout'"
                ),
                {"status": status},
            )


async def test_a_restock_in_mid_checkout_adds_to_what_is_left(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k", CartLine("limited-print", 4))
    async with engine.begin() as connection:
        assert await inventory.restock(connection, "limited-print", 5) == 11
    await close(engine, order)
    assert await on_hand(engine, "limited-print") == 15
    assert await violations(engine) == []
