"""Order events as they happen: one PostgreSQL LISTEN for the whole process; a stream that waits costs no connection and
no query. A notification is only a hint to read the table again, and PostgreSQL loses none as long as the connection
lives; when it is lost, everybody reads again once it is back."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, cast

from fastapi.sse import ServerSentEvent
from sqlalchemy.ext.asyncio import AsyncEngine

from api.problems import POSTGRES_AWAY
from db.order_pages import OrderEvent, order_events_after
from db.writing import is_read_only

logger = logging.getLogger("api")

CHANNEL = "order_events"
PROBE_INTERVAL = 15.0  # seconds between two looks whether the listening connection still lives
RECONNECT_PAUSE = 1.0
READERS = 2  # connections: a thousand browsers that reconnect queue up behind each other, not in front of a checkout
READ_ATTEMPT_PAUSE = 1.0
BACKLOG = 1000  # notifications a follower of all orders may lag behind before its stream ends
LIVE = ServerSentEvent(comment="live", retry=1000)  # milliseconds until a browser connects again
LAST_KINDS = {"dispatched", "rejected", "cancelled", "refunded"}


@dataclass(frozen=True)
class Notice:
    """Something happened to some order. `at` is when this process heard of it."""

    order_id: str
    seq: int
    kind: str
    at: datetime


class OrderEventHub:
    """`listen` receives every notification. `stream` yields an order's events from a sequence number on, `follow` the
    news of all orders."""

    def __init__(self, engine: AsyncEngine, *, probe_interval: float = PROBE_INTERVAL) -> None:
        self._engine, self._probe_interval = engine, probe_interval
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._followers: set[asyncio.Queue[Notice | None]] = set()
        self._reading = asyncio.Semaphore(READERS)
        self._is_closing = False

    def close(self) -> None:
        """End every stream, so that a stopping process need not wait for them; their clients connect anew."""
        self._is_closing = True
        self._have_all_look()

    async def read(self, order_id: str, after: int) -> list[OrderEvent]:
        """The order's events with `seq > after`. At most `READERS` streams read at a time."""
        async with self._reading, self._engine.connect() as connection:
            return await order_events_after(connection, order_id, after)

    async def stream(self, order_id: str, after: int) -> AsyncIterator[OrderEvent]:
        """The order's events with `seq > after`, then new ones. Ends after the order's last; a stream that resumes
        behind it waits for what may still come: a refund."""
        news = asyncio.Event()
        self._waiting[order_id].add(news)
        try:
            while not self._is_closing:
                news.clear()
                try:
                    events = await self.read(order_id, after)
                except POSTGRES_AWAY:  # an open stream outlives an absence of PostgreSQL
                    await asyncio.sleep(READ_ATTEMPT_PAUSE)
                    continue
                for event in events:
                    after = event.seq
                    yield event
                if events and events[-1].kind in LAST_KINDS:
                    return
                await news.wait()
        finally:
            self._waiting[order_id].discard(news)
            if not self._waiting[order_id]:
                del self._waiting[order_id]

    async def follow(self) -> AsyncIterator[Notice]:
        """What happens to any order from now on. Ends for a reader who lags too far behind."""
        queue: asyncio.Queue[Notice | None] = asyncio.Queue(BACKLOG)
        self._followers.add(queue)
        try:
            while not self._is_closing and (notice := await queue.get()) is not None:
                yield notice
        finally:
            self._followers.discard(queue)

    async def listen(self) -> None:
        """Listen until cancelled, and end every stream then."""
        with contextlib.closing(self):
            while True:
                try:
                    await self._listen_once()
                except POSTGRES_AWAY as error:
                    logger.warning("Order events are delayed, PostgreSQL is away: %s", type(error).__name__)
                except Exception:  # a listener that dies in silence leaves every stream waiting
                    logger.exception("Order events are delayed")
                await asyncio.sleep(RECONNECT_PAUSE)

    async def _listen_once(self) -> None:
        closed = asyncio.Event()
        # A connection of its own, outside the pool: it stays checked out for the life of the process.
        raw = await self._engine.raw_connection()
        driver = cast(Any, raw.driver_connection)  # before it is detached: afterwards nobody knows it
        raw.detach()
        try:
            driver.add_termination_listener(lambda _: closed.set())
            await driver.add_listener(CHANNEL, self._heard)
            self._have_all_look()
            while not closed.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(closed.wait(), self._probe_interval)
                if await is_read_only(driver):
                    break  # the server it listens to was demoted: what happens is told at another one
        finally:
            driver.terminate()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        order_id, _, rest = str(payload).partition(":")
        for news in self._waiting.get(order_id, ()):
            news.set()
        if self._followers:
            seq, _, kind = rest.partition(":")
            self._tell_followers(Notice(order_id, int(seq), kind, datetime.now(UTC)))

    def _have_all_look(self) -> None:
        """Wake every order's stream, which reads from the table what it has missed, and end those of all orders, whose
        clients connect anew and look."""
        for news in chain.from_iterable(self._waiting.values()):
            news.set()
        self._tell_followers(None)

    def _tell_followers(self, notice: Notice | None) -> None:
        """Queue the notice for everybody who follows all orders; None ends their streams. Nobody waits for a slow
        reader: one whose queue is full is ended as well."""
        for queue in self._followers:
            lags = queue.full()
            while lags and not queue.empty():  # of what follows a gap, nothing is told
                queue.get_nowait()
            queue.put_nowait(None if lags else notice)
