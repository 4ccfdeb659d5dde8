"""The warehouse: what is due leaves, once, whoever runs it; what is refunded meanwhile stays."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.orders import Order, OrderStatus, Reason
from db import order_queries, orders
from tests.support.databases import patient
from tests.support.eventually import eventually
from tests.support.orders import awaiting, events
from worker import warehouse


@pytest.fixture
def engine(engine: AsyncEngine) -> AsyncEngine:
    return patient(engine)


async def fulfilled(engine: AsyncEngine, key: str, due_in: timedelta = timedelta(0)) -> Order:
    order = await awaiting(engine, key)
    async with engine.begin() as connection:
        return await orders.fulfil_order(connection, order.order_id, f"pi_{key}", due_in)


async def status(engine: AsyncEngine, order: Order) -> OrderStatus:
    async with engine.connect() as connection:
        return (await order_queries.get_order(connection, order.order_id)).status


async def test_several_workers_dispatch_everything_that_is_due_once_and_nothing_before_its_time(
    engine: AsyncEngine,
) -> None:
    for number in range(6):
        await fulfilled(engine, f"due-{number}")
    later = await fulfilled(engine, "later", timedelta(minutes=5))
    assert sum(await asyncio.gather(*(warehouse.dispatch(engine) for _ in range(4)))) == 6
    assert await events(engine, "dispatched") == 6
    assert await status(engine, later) is OrderStatus.FULFILLED


async def test_more_orders_than_one_batch_holds_leave_in_the_same_tick(engine: AsyncEngine) -> None:
    for number in range(5):
        await fulfilled(engine, f"due-{number}")
    assert await warehouse.dispatch(engine, batch=2) == 5


async def test_a_refunded_order_is_not_dispatched_and_a_dispatched_one_only_once(engine: AsyncEngine) -> None:
    kept, refunded = await fulfilled(engine, "kept"), await fulfilled(engine, "refunded")
    async with engine.begin() as connection:
        await orders.close_order(
            connection, refunded.order_id, OrderStatus.REFUNDED, Reason.OPERATOR, leaving=[OrderStatus.FULFILLED]
        )
    assert [await warehouse.dispatch(engine) for _ in range(2)] == [1, 0]
    assert await status(engine, kept) is OrderStatus.DISPATCHED
    assert await status(engine, refunded) is OrderStatus.REFUNDED
    assert await events(engine, "dispatched") == 1


async def test_an_order_that_is_being_refunded_keeps_no_other_from_leaving(engine: AsyncEngine) -> None:
    refunded, _ = await fulfilled(engine, "refunded"), await fulfilled(engine, "kept")
    async with engine.begin() as refunding:
        await orders.close_order(
            refunding, refunded.order_id, OrderStatus.REFUNDED, Reason.OPERATOR, leaving=[OrderStatus.FULFILLED]
        )
        async with engine.begin() as dispatching:
            assert await orders.dispatch_due(dispatching) == 1
    assert await warehouse.dispatch(engine) == 0
    assert await status(engine, refunded) is OrderStatus.REFUNDED


async def test_a_tick_that_fails_is_not_the_last(engine: AsyncEngine, caplog: pytest.LogCaptureFixture) -> None:
    order = await fulfilled(engine, "due")
    async with engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE shop.orders RENAME TO away")
    ticking = asyncio.create_task(warehouse.keep_dispatching(engine, tick=0.05))
    await eventually(lambda: "cannot be dispatched" in caplog.text, what="the failure in the log")
    async with engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE shop.away RENAME TO orders")

    async def has_left() -> bool:
        return await status(engine, order) is OrderStatus.DISPATCHED

    await eventually(has_left, what="the dispatch")
    ticking.cancel()
