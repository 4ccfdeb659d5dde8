"""Nothing that happened is deleted; what is gone all the same is an alarm, and no repair hides it."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.contracts import PaidInput
from checkout.errors import CannotFulfil
from checkout.orders import CartLine, OrderStatus, Reason
from db import orders
from tests.support.healthy_shop import mend_missing_reservations, run
from tests.support.orders import awaiting, close, on_hand, open_order, scalar, violations
from tests.support.provider import FakeProvider
from worker.activities.checkouts import CheckoutActivities

TABLES = ("products", "orders", "order_lines", "reservations", "stock_movements", "order_events")


@pytest.mark.parametrize("statement", ["DELETE FROM shop.{}", "TRUNCATE shop.{} CASCADE"])
@pytest.mark.parametrize("table", TABLES)
async def test_nothing_is_deleted_not_even_by_the_schemas_owner(
    engine: AsyncEngine, table: str, statement: str
) -> None:
    await open_order(engine, "k")
    with pytest.raises(IntegrityError, match="what happened stays"):
        async with engine.begin() as connection:
            await connection.execute(text(statement.format(table)))


@pytest.mark.parametrize(
    "change",
    [
        "order_lines SET name = 'Garden hose'",
        "order_lines SET unit_amount = 1",
        "order_lines SET quantity = 2",
        "stock_movements SET delta = 1",
        "order_events SET kind = 'fulfilled'",
    ],
)
async def test_lines_movements_and_timeline_are_written_once(engine: AsyncEngine, change: str) -> None:
    await open_order(engine, "k")
    with pytest.raises(IntegrityError, match="what happened stays"):
        async with engine.begin() as connection:
            await connection.execute(text(f"UPDATE shop.{change}"))


async def test_a_paid_order_that_lost_a_reservation_is_not_fulfilled_and_order_and_sku_are_named(
    engine: AsyncEngine,
) -> None:
    """Although there is stock: nothing is taken anew for it."""
    order = await awaiting(engine, "k", CartLine("pen", 1), CartLine("limited-print", 4))
    await run(engine, "DELETE FROM shop.reservations WHERE sku = 'limited-print'")
    steps = CheckoutActivities(engine, FakeProvider(), dispatch_duration=1)
    with pytest.raises(CannotFulfil, match=f"Order {order.order_id} is paid and has no reservation of limited-print"):
        await steps.fulfil_order(PaidInput(order.order_id, "pi_1"))
    assert await scalar(engine, "SELECT status FROM shop.orders") == "awaiting_payment"
    assert await on_hand(engine, "limited-print") == 6


@pytest.mark.parametrize("end", [None, OrderStatus.CANCELLED])
async def test_the_audit_names_the_order_that_lacks_a_reservation_also_after_its_end(
    engine: AsyncEngine, end: OrderStatus | None
) -> None:
    order = await awaiting(engine, "k", CartLine("limited-print", 4))
    await run(engine, "DELETE FROM shop.reservations")
    if end is not None:
        await close(engine, order, end)
    status = end or OrderStatus.AWAITING_PAYMENT
    assert f"order {order.order_id} ({status}), limited-print: line of 4, no reservation" in await violations(engine)


async def test_an_order_that_was_refused_for_want_of_goods_never_had_one_and_lacks_none(engine: AsyncEngine) -> None:
    await open_order(engine, "k", CartLine("limited-print", 11))
    assert await violations(engine) == []


async def test_what_was_missing_is_mended_as_operations_says_and_once(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k", CartLine("pen", 1), CartLine("limited-print", 4))
    await run(engine, "DELETE FROM shop.reservations WHERE sku = 'limited-print'")
    await mend_missing_reservations(engine, order.order_id)
    assert await violations(engine) != []  # a live order is none of its business
    async with engine.begin() as connection:
        await orders.close_order(
            connection,
            order.order_id,
            OrderStatus.CANCELLED,
            Reason.CANNOT_FULFIL,
            leaving=[OrderStatus.AWAITING_PAYMENT],
        )
    for _ in range(2):
        await mend_missing_reservations(engine, order.order_id)
    assert await violations(engine) == []
    assert (await on_hand(engine, "pen"), await on_hand(engine, "limited-print")) == (100_000, 10)
