"""Hears of fulfilled orders, once for all clients: observing must not become the load.

With the database at hand one connection LISTENs to `order_events` (payload `<order id>:<seq>:<kind>`, sent by the
shop's trigger at COMMIT). Without, one poller reads the operator's list. Either way an order nobody hears of for a
while is asked for by itself, so a lost notification costs a checkout a few seconds, not its result.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import asyncpg

from bench.http import Connection, HTTPFailed
from bench.target import Target

CHANNEL = "order_events"
GOOD = frozenset({"fulfilled", "dispatched"})
ENDED = GOOD | {"cancelled", "rejected", "refunded"}
_POLL_EVERY = 0.2  # seconds
_SILENT_EVERY, _LOOKS_AT_ONCE = 5, 10  # of these polls looks at the silent ones as well, at so many


class Watch:
    """`async with Watch(target) as watch:`, and in it, for each order, `watch.expecting`."""

    def __init__(self, target: Target, silent_after: float = 5.0) -> None:
        """`silent_after`: seconds without a word after which an order is asked for by itself."""
        self._target = target
        self._silent_after = silent_after
        self._waiting: dict[str, tuple[asyncio.Future[str], float]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._connection: Any = None
        self.by = "poll" if target.dialect == "shop" else "the answer"

    async def __aenter__(self) -> "Watch":
        if self._target.dialect == "shop":
            if self._target.database_url:
                with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    self._connection = await asyncpg.connect(self._target.database_url, timeout=5)
                    await self._connection.add_listener(CHANNEL, self.heard)
                    self.by = "listen"
            self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        if self._connection is not None:
            with suppress(Exception):
                await self._connection.close(timeout=2)

    @contextmanager
    def expecting(self, order_id: str) -> Iterator["asyncio.Future[str]"]:
        """The status in which an order will have ended. Begin before paying, or its end may pass unheard."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[order_id] = (future, time.monotonic())
        try:
            yield future
        finally:
            self._waiting.pop(order_id, None)

    def heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        """A notification, as asyncpg delivers it."""
        order_id, _, kind = str(payload).split(":", 2)
        self._ended(order_id, kind)

    def _ended(self, order_id: str, status: str) -> None:
        entry = self._waiting.get(order_id)
        if entry is not None and status in ENDED and not entry[0].done():
            entry[0].set_result(status)

    async def _look(self) -> None:
        headers = {"Authorization": f"Bearer {self._target.admin_token}", "Accept": "application/json"}
        async with Connection(self._target.gateway_url) as gateway:
            for turn in count(1):
                await asyncio.sleep(_POLL_EVERY)
                paths = []
                if self.by == "poll" and self._waiting:
                    paths += [f"/admin/orders?status={status}&limit=200" for status in ("fulfilled", "dispatched")]
                if turn % _SILENT_EVERY == 0:
                    before = time.monotonic() - self._silent_after
                    silent = [order_id for order_id, (_, since) in self._waiting.items() if since < before]
                    paths += [f"/orders/{order_id}" for order_id in silent[:_LOOKS_AT_ONCE]]
                for path in paths:
                    with suppress(HTTPFailed, ValueError, KeyError):
                        answer = await gateway.request("GET", path, headers=headers)
                        found = answer.json() if answer.status == 200 else {"orders": []}
                        for order in found.get("orders", [found]):
                            self._ended(str(order["order_id"]), str(order["status"]))
