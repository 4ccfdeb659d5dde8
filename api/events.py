"""Order events as they happen: one PostgreSQL LISTEN for the whole process, however many streams are open.

A notification is only a hint to read the table again; so a lost one costs `HEARTBEAT` seconds, never an event.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, cast

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from db.views import OrderEvent, order_events_after

logger = logging.getLogger("api")

CHANNEL = "order_events"
HEARTBEAT = 15.0
RECONNECT_PAUSE = 1.0
LAST_KINDS = {"dispatched", "rejected", "cancelled", "refunded"}


class OrderEventHub:
    """`async with` listens; `stream` yields an order's events from a sequence number on."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "OrderEventHub":
        self._listener = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
        self._wake_all()

    async def stream(self, order_id: str, after: int) -> AsyncIterator[OrderEvent | None]:
        """The order's events with `seq > after`, then new ones; None as a heartbeat. Ends with the order's last."""
        news = asyncio.Event()
        self._waiting[order_id].add(news)
        try:
            while True:
                news.clear()
                async with self._engine.connect() as connection:
                    events = await order_events_after(connection, order_id, after)
                for event in events:
                    after = event.seq
                    yield event
                if events and events[-1].kind in LAST_KINDS:
                    return
                try:
                    await asyncio.wait_for(news.wait(), HEARTBEAT)
                except TimeoutError:
                    yield None
        finally:
            self._waiting[order_id].discard(news)
            if not self._waiting[order_id]:
                del self._waiting[order_id]

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                logger.warning("Order events are delayed, PostgreSQL is away: %s", type(error).__name__)
            await asyncio.sleep(RECONNECT_PAUSE)

    async def _listen_once(self) -> None:
        closed = asyncio.Event()
        # A connection of its own, outside the pool: it stays checked out for the life of the process.
        raw = await self._engine.raw_connection()
        raw.detach()
        driver = cast(Any, raw.driver_connection)
        try:
            driver.add_termination_listener(lambda _: closed.set())
            await driver.add_listener(CHANNEL, self._heard)
            # What was said while nobody listened is read from the table.
            self._wake_all()
            while not closed.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(closed.wait(), HEARTBEAT)
                await driver.execute("SELECT 1")
        finally:
            driver.terminate()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        order_id = str(payload).split(":", 1)[0]
        for news in self._waiting.get(order_id, ()):
            news.set()

    def _wake_all(self) -> None:
        for waiting in self._waiting.values():
            for news in waiting:
                news.set()
