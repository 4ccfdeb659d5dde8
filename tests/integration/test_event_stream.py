"""The stream of all orders: who follows it is never left believing that it still hears."""

import asyncio
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.events import Notice, OrderEventHub
from checkout.orders import CartLine
from tests.support.eventually import eventually
from tests.support.orders import open_order

_LISTENING = """SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND query ILIKE 'LISTEN%'"""
_CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid()"""


async def test_who_follows_hears_of_each_order_and_begins_anew_after_a_gap(engine: AsyncEngine) -> None:
    heard: list[Notice] = []

    async def follow(hub: OrderEventHub) -> None:
        async for notice in hub.follow():
            heard.append(notice)  # noqa: PERF401 - it is read while the stream goes on

    async def listens() -> bool:
        async with engine.connect() as connection:
            return bool((await connection.execute(text(_LISTENING))).scalar_one())

    async with OrderEventHub(engine) as hub:
        await eventually(listens, what="the listener")
        following = asyncio.create_task(follow(hub))
        await asyncio.sleep(0)
        order = await open_order(engine, "k", CartLine("pen", 1))
        await eventually(lambda: bool(heard), what="the order's first event")
        assert (heard[0].order_id, heard[0].kind) == (order.order_id, "reserved")
        async with engine.begin() as connection:
            await connection.execute(text(_CUT))
        # What happens now, nobody hears. So the stream ends once there is a listener again, and its client looks.
        await asyncio.wait_for(following, timedelta(seconds=30).total_seconds())
