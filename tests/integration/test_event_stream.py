"""The stream of all orders: who follows it is never left believing that it still hears."""

import asyncio
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.order_events import BACKLOG, CHANNEL, Notice, OrderEventHub
from checkout.orders import CartLine, OrderStatus, Reason
from db import orders
from runtime.background import beside
from tests.support.databases import connected
from tests.support.eventually import eventually
from tests.support.orders import awaiting, open_order

_LISTENING = """SELECT pid FROM pg_stat_activity WHERE datname = current_database()
                 AND (query ILIKE 'LISTEN%' OR query ILIKE 'SHOW transaction_read_only%')"""
_CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid()"""
_TELL = r"""SELECT pg_notify(:channel, 'ord_1\:' || n || '\:reserved')
              FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n"""


async def listener(engine: AsyncEngine) -> int | None:
    """The process of PostgreSQL that the hub listens at."""
    async with engine.connect() as connection:
        return (await connection.execute(text(_LISTENING))).scalar()


async def test_who_follows_hears_of_each_order_and_begins_anew_after_a_gap(engine: AsyncEngine) -> None:
    heard: list[Notice] = []

    async def follow(hub: OrderEventHub) -> None:
        async for notice in hub.follow():
            heard.append(notice)  # noqa: PERF401 - it is read while the stream goes on

    hub = OrderEventHub(engine)
    async with beside(hub.listen()):
        await eventually(lambda: listener(engine), what="the listener")
        following = asyncio.create_task(follow(hub))
        await asyncio.sleep(0)
        order = await open_order(engine, "k", CartLine("pen", 1))
        await eventually(lambda: bool(heard), what="the order's first event")
        assert (heard[0].order_id, heard[0].kind) == (order.order_id, "reserved")
        async with engine.begin() as connection:
            await connection.execute(text(_CUT))
        # What happens now, nobody hears. So the stream ends once there is a listener again, and its client looks.
        await asyncio.wait_for(following, timedelta(seconds=30).total_seconds())


async def test_who_lags_too_far_behind_hears_nothing_after_the_gap(engine: AsyncEngine) -> None:
    """No stale news that look like all of it: the stream just ends, and its client looks."""
    heard: list[int] = []
    slow_has: list[int] = []
    go_on = asyncio.Event()

    async def follow(hub: OrderEventHub) -> None:
        async for notice in hub.follow():
            heard.append(notice.seq)  # noqa: PERF401 - it is read while the stream goes on

    async def dawdle(hub: OrderEventHub) -> None:
        async for notice in hub.follow():
            slow_has.append(notice.seq)
            await go_on.wait()

    hub = OrderEventHub(engine)
    async with beside(hub.listen()):
        await eventually(lambda: listener(engine), what="the listener")
        following, dawdling = asyncio.create_task(follow(hub)), asyncio.create_task(dawdle(hub))
        await asyncio.sleep(0)
        for first in range(1, 2 * BACKLOG, BACKLOG // 2):  # half of what even the slow one may have waiting
            last = first + BACKLOG // 2 - 1
            async with engine.begin() as connection:
                await connection.execute(text(_TELL), {"channel": CHANNEL, "first": first, "last": last})
            await eventually(lambda last=last: heard[-1:] == [last], what="all news so far")
        go_on.set()
        await asyncio.wait_for(dawdling, 5)
        assert slow_has == [1]
        assert not following.done()
        following.cancel()


async def test_an_open_stream_tells_what_happened_while_nobody_listened(database_url: str, engine: AsyncEngine) -> None:
    """Nothing more happens to the order afterwards: only the hub can know that there is something to read."""
    name = database_url.rpartition("/")[2]
    order = await awaiting(engine, "k")
    hub = OrderEventHub(engine)
    async with beside(hub.listen()), connected(database_url.rpartition("/")[0] + "/postgres") as owner:
        heard: list[str] = []

        async def read() -> None:
            async for event in hub.stream(order.order_id, after=0):
                heard.append(event.kind)  # noqa: PERF401 - it is read while the stream goes on

        await eventually(lambda: listener(engine), what="the listener")
        reading = asyncio.create_task(read())
        await eventually(lambda: heard == ["reserved", "awaiting_payment"])
        async with engine.begin() as connection:
            await owner.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await connection.execute(text(_CUT))
            await orders.close_order(
                connection,
                order.order_id,
                OrderStatus.CANCELLED,
                Reason.CUSTOMER,
                leaving=[OrderStatus.AWAITING_PAYMENT],
            )
        await owner.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await asyncio.wait_for(reading, 20)
    assert heard[2:] == ["cancelled"]


async def test_a_server_that_was_demoted_is_not_listened_to(database_url: str, engine: AsyncEngine) -> None:
    """The session lives, answers, and hears nothing of what is written elsewhere."""
    name = database_url.rpartition("/")[2]
    async with connected(database_url) as owner:
        await owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        async with beside(OrderEventHub(engine, probe_interval=0.2).listen()):
            demoted = await eventually(lambda: listener(engine), what="the listener")
            await owner.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")

            async def has_moved() -> bool:
                return await listener(engine) not in (None, demoted)

            await eventually(has_moved, what="another listener")
