"""Orders and their reservations, against a real PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.contracts import CartLine, OpenOrderInput, Order, OrderStatus, PaymentSession, Reason
from checkout.errors import CannotFulfil, ProductNotFound
from db import inventory, orders
from tests.support.databases import patient

LIVE = (OrderStatus.PENDING, OrderStatus.AWAITING_PAYMENT)


@pytest.fixture
def engine(engine: AsyncEngine) -> AsyncEngine:
    return patient(engine)


def request(key: str, *lines: CartLine) -> OpenOrderInput:
    now = datetime.now(UTC)
    return OpenOrderInput(key, list(lines) or [CartLine("pen", 1)], "f" * 64, now, now + timedelta(minutes=15))


async def open_order(engine: AsyncEngine, key: str, *lines: CartLine) -> Order:
    async with engine.begin() as connection:
        return await orders.open_order(connection, request(key, *lines))


async def awaiting(engine: AsyncEngine, key: str, *lines: CartLine) -> Order:
    order = await open_order(engine, key, *lines)
    async with engine.begin() as connection:
        return await orders.record_session(connection, order.order_id, PaymentSession(f"cs_{key}", "https://pay"))


async def fulfil(engine: AsyncEngine, order: Order) -> Order:
    async with engine.begin() as connection:
        return await orders.fulfil_order(connection, order.order_id, f"pi_{order.order_id}", timedelta(seconds=1))


async def close(engine: AsyncEngine, order: Order, status: OrderStatus = OrderStatus.CANCELLED) -> Order:
    async with engine.begin() as connection:
        return await orders.close_order(connection, order.order_id, status, Reason.TIMEOUT, closes=LIVE)


async def scalar(engine: AsyncEngine, statement: str, **parameters: Any) -> Any:
    async with engine.connect() as connection:
        return (await connection.execute(text(statement), parameters)).scalar()


async def on_hand(engine: AsyncEngine, sku: str) -> int:
    return int(await scalar(engine, "SELECT on_hand FROM shop.products WHERE sku = :sku", sku=sku))


async def test_opening_reserves_every_line_at_the_catalogues_price(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k1", CartLine("pen", 2), CartLine("notebook", 1))
    assert (order.status, order.amount_total, order.currency) == (OrderStatus.PENDING, 2450, "usd")
    assert (await on_hand(engine, "pen"), await on_hand(engine, "notebook")) == (99_998, 49_999)


async def test_a_key_opens_one_order_however_often_and_however_many_at_once(engine: AsyncEngine) -> None:
    opened = await asyncio.gather(*(open_order(engine, "same") for _ in range(20)))
    assert len({order.order_id for order in opened}) == 1
    assert await on_hand(engine, "pen") == 99_999


async def test_two_hundred_buyers_of_the_last_ten_get_exactly_ten(engine: AsyncEngine) -> None:
    opened = await asyncio.gather(*(open_order(engine, f"b{i}", CartLine("limited-print", 1)) for i in range(200)))
    statuses = [order.status for order in opened]
    assert (statuses.count(OrderStatus.PENDING), statuses.count(OrderStatus.REJECTED)) == (10, 190)
    assert await on_hand(engine, "limited-print") == 0


async def test_one_missing_line_rejects_the_order_whole_and_names_it(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k", CartLine("pen", 1), CartLine("limited-print", 11))
    assert (order.status, order.reason, order.missing_skus) == (
        OrderStatus.REJECTED,
        Reason.OUT_OF_STOCK,
        ["limited-print"],
    )
    assert (await on_hand(engine, "pen"), await on_hand(engine, "limited-print")) == (100_000, 10)


async def test_carts_that_list_products_in_opposite_order_do_not_deadlock(engine: AsyncEngine) -> None:
    carts = [(CartLine("pen", 1), CartLine("notebook", 1)), (CartLine("notebook", 1), CartLine("pen", 1))]
    opened = await asyncio.gather(*(open_order(engine, f"d{i}", *carts[i % 2]) for i in range(40)))
    ended = await asyncio.gather(*(close(engine, order) for order in opened))
    assert {order.status for order in ended} == {OrderStatus.CANCELLED}
    assert await on_hand(engine, "pen") == 100_000


async def test_an_unknown_product_is_refused_before_anything_is_written(engine: AsyncEngine) -> None:
    with pytest.raises(ProductNotFound, match="unicorn"):
        await open_order(engine, "k", CartLine("unicorn", 1))
    assert await scalar(engine, "SELECT count(*) FROM shop.orders") == 0


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


async def test_a_paid_order_that_lost_its_reservation_is_reserved_anew(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k", CartLine("limited-print", 4))
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM shop.reservations"))
        await connection.execute(text("UPDATE shop.products SET on_hand = 10 WHERE sku = 'limited-print'"))
    assert (await fulfil(engine, order)).status is OrderStatus.FULFILLED
    assert await on_hand(engine, "limited-print") == 6


async def test_a_paid_order_whose_stock_is_gone_is_not_fulfilled(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k", CartLine("limited-print", 4))
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM shop.reservations"))
        await connection.execute(text("UPDATE shop.products SET on_hand = 3 WHERE sku = 'limited-print'"))
    with pytest.raises(CannotFulfil):
        await fulfil(engine, order)
    assert await scalar(engine, "SELECT status FROM shop.orders") == "awaiting_payment"


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


async def test_restocking_adds_and_leaves_agreed_prices_alone(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k", CartLine("limited-print", 10))
    async with engine.begin() as connection:
        assert await inventory.restock(connection, "limited-print", 5) == 5
        await connection.execute(text("UPDATE shop.products SET unit_amount = 1"))
    assert (await open_order(engine, "k")).amount_total == order.amount_total == 120_000
