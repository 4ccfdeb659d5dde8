"""Opening an order: reserved whole or rejected whole, in one order of locks, and what is in stock afterwards."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.errors import ProductNotFound
from checkout.orders import CartLine, OrderStatus, Reason
from db import catalogue
from tests.support.databases import patient
from tests.support.eventually import eventually
from tests.support.orders import close, on_hand, open_order, scalar, violations


@pytest.fixture
def engine(engine: AsyncEngine) -> AsyncEngine:
    return patient(engine)


async def test_opening_reserves_every_line_at_the_catalogues_price(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k1", CartLine("pen", 2), CartLine("notebook", 1))
    assert (order.status, order.amount_total, order.currency) == (OrderStatus.PENDING, 2450, "usd")
    assert (await on_hand(engine, "pen"), await on_hand(engine, "notebook")) == (99_998, 49_999)


async def test_a_key_opens_one_order_however_often_and_however_many_at_once(engine: AsyncEngine) -> None:
    opened = await asyncio.gather(*(open_order(engine, "same") for _ in range(20)))
    assert len({order.order_id for order in opened}) == 1
    assert await on_hand(engine, "pen") == 99_999


async def test_one_missing_line_rejects_the_order_whole_and_names_it(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k", CartLine("pen", 1), CartLine("limited-print", 11))
    assert (order.status, order.reason, order.missing_skus) == (
        OrderStatus.REJECTED,
        Reason.OUT_OF_STOCK,
        ["limited-print"],
    )
    assert (await on_hand(engine, "pen"), await on_hand(engine, "limited-print")) == (100_000, 10)


async def test_an_unknown_product_is_refused_before_anything_is_written(engine: AsyncEngine) -> None:
    with pytest.raises(ProductNotFound, match="unicorn"):
        await open_order(engine, "k", CartLine("unicorn", 1))
    assert await scalar(engine, "SELECT count(*) FROM shop.orders") == 0


async def test_restocking_adds_and_leaves_agreed_prices_alone(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k", CartLine("limited-print", 10))
    async with engine.begin() as connection:
        assert await catalogue.restock(connection, "limited-print", 5) == 5
        await connection.execute(text("UPDATE shop.products SET unit_amount = 1"))
    assert (await open_order(engine, "k")).amount_total == order.amount_total == 120_000


async def test_more_buyers_than_units_sell_exactly_the_units(engine: AsyncEngine) -> None:
    opened = await asyncio.gather(
        *(open_order(engine, f"b{number}", CartLine("limited-print", 1)) for number in range(16))
    )
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


async def test_a_restock_in_mid_checkout_adds_to_what_is_left(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k", CartLine("limited-print", 4))
    async with engine.begin() as connection:
        assert await catalogue.restock(connection, "limited-print", 5) == 11
    await close(engine, order)
    assert await on_hand(engine, "limited-print") == 15
    assert await violations(engine) == []
