"""The ways of an order and of its reservations: each goes forward, once, and nothing comes back from an end."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.orders import CartLine, OrderStatus
from tests.support.databases import patient
from tests.support.orders import awaiting, close, events, fulfil, on_hand, open_order, record, scalar


@pytest.fixture
def engine(engine: AsyncEngine) -> AsyncEngine:
    return patient(engine)


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


async def test_a_reservation_that_arrives_after_the_release_finds_the_tombstone(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k")
    await close(engine, order)
    late = await open_order(engine, "k")
    assert (late.order_id, late.status) == (order.order_id, OrderStatus.CANCELLED)
    assert await on_hand(engine, "pen") == 100_000


async def test_a_released_reservation_can_never_be_held_again(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k")
    await close(engine, order)
    with pytest.raises(IntegrityError, match="no way from released to held"):
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE shop.reservations SET state = 'held'"))


async def test_fulfilling_twice_consumes_once(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k")
    both = await asyncio.gather(fulfil(engine, order), fulfil(engine, order))
    assert {found.status for found in both} == {OrderStatus.FULFILLED}
    assert await scalar(engine, "SELECT count(*) FROM shop.order_events WHERE kind = 'fulfilled'") == 1
    assert await on_hand(engine, "pen") == 99_999


async def test_of_fulfilling_and_releasing_at_once_exactly_one_happens(engine: AsyncEngine) -> None:
    for number in range(10):
        order = await awaiting(engine, f"race{number}")
        ends = await asyncio.gather(fulfil(engine, order), close(engine, order))
        assert ends[0].status == ends[1].status
        assert ends[0].status in (OrderStatus.FULFILLED, OrderStatus.CANCELLED)
    held = await scalar(engine, "SELECT count(*) FROM shop.reservations WHERE state = 'consumed'")
    assert await on_hand(engine, "pen") == 100_000 - held


async def test_releasing_twice_returns_the_stock_once(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k", CartLine("pen", 5))
    await asyncio.gather(close(engine, order), close(engine, order))
    assert await on_hand(engine, "pen") == 100_000


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE shop.orders SET status = 'fulfilled', fulfilled_at = now(), dispatch_due_at = now()",
        "UPDATE shop.orders SET status = 'awaiting_payment'",
        "UPDATE shop.orders SET amount_total = 1",
        "UPDATE shop.orders SET checkout_key = 'another'",
        "UPDATE shop.orders SET status = 'cancelled'",
        "UPDATE shop.orders SET status = 'cancelled', reason = 'timeout'",
        "UPDATE shop.products SET on_hand = -1",
        "UPDATE shop.reservations SET quantity = quantity + 1",
        "UPDATE shop.reservations SET state = 'consumed'",
        "UPDATE shop.reservations SET state = 'released'",
    ],
)
async def test_the_database_refuses_what_must_never_be(engine: AsyncEngine, statement: str) -> None:
    """Even from code that forgot every guard: a pending order with its stock held, and a wrong statement."""
    await open_order(engine, "k")
    with pytest.raises(IntegrityError):
        async with engine.begin() as connection:
            await connection.execute(text(statement))
