"""Hears of fulfilled orders, once for all clients: observing must not become the load.

With the database at hand one connection LISTENs to `order_events` (payload `<order id>:<seq>:<kind>`, sent by the
shop's trigger at COMMIT). Without, one poller reads the operator's list. Either way an order nobody hears of for a
while is asked for by itself, so a lost notification costs a checkout a few seconds, not its result.
"""

import asyncio
import json
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from bench.http import Connection, HTTPFailed
from bench.target import Target

CHANNEL = "order_events"
GOOD = frozenset({"fulfilled", "dispatched"})
ENDED = GOOD | {"cancelled", "rejected", "refunded"}
_POLL_EVERY = 0.2  # seconds
_LOOK_EVERY, _LOOKS_AT_ONCE = 1.0, 10


class Watch:
    """`await watch.ended(order_id, patience)` answers with the status an order ended in."""

    def __init__(self, target: Target, silent_after: float = 5.0) -> None:
        """`silent_after`: seconds without a word after which an order is asked for by itself."""
        self._target = target
        self._silent_after = silent_after
        self._waiting: dict[str, tuple[asyncio.Future[str], float]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._connection: Any = None
        self.by = "poll"

    async def __aenter__(self) -> "Watch":
        if self._target.dialect != "shop":
            self.by = "the answer"
            return self
        if self._target.database_url:
            import asyncpg

            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                self._connection = await _listen(self._target.database_url, self.heard)
                self.by = "listen"
        if self._connection is None:
            self._tasks.append(asyncio.create_task(self._poll()))
        self._tasks.append(asyncio.create_task(self._look_after_silent()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._connection is not None:
            with suppress(Exception):
                await self._connection.close(timeout=2)

    def expect(self, order_id: str) -> "asyncio.Future[str]":
        """Begin to listen for an order. Call before paying, or its end may pass unheard."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[order_id] = (future, time.monotonic())
        return future

    def forget(self, order_id: str) -> None:
        self._waiting.pop(order_id, None)

    def heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        """A notification, as asyncpg delivers it."""
        order_id, _, kind = str(payload).split(":", 2)
        self._ended(order_id, kind)

    def _ended(self, order_id: str, status: str) -> None:
        entry = self._waiting.get(order_id)
        if entry is not None and status in ENDED and not entry[0].done():
            entry[0].set_result(status)

    async def _poll(self) -> None:
        async with Connection(self._target.gateway_url) as gateway:
            while True:
                await asyncio.sleep(_POLL_EVERY)
                for status in ("fulfilled", "dispatched") if self._waiting else ():
                    with suppress(HTTPFailed, ValueError, KeyError):
                        page = (await self._get(gateway, f"/admin/orders?status={status}&limit=200")) or {}
                        for row in page.get("orders", []):
                            self._ended(str(row["order_id"]), status)

    async def _look_after_silent(self) -> None:
        async with Connection(self._target.gateway_url) as gateway:
            while True:
                await asyncio.sleep(_LOOK_EVERY)
                before = time.monotonic() - self._silent_after
                silent = [order_id for order_id, (_, since) in self._waiting.items() if since < before]
                for order_id in silent[:_LOOKS_AT_ONCE]:
                    with suppress(HTTPFailed, ValueError, KeyError):
                        order = await self._get(gateway, f"/orders/{order_id}")
                        if order is not None:
                            self._ended(order_id, str(order["status"]))

    async def _get(self, gateway: Connection, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self._target.admin_token}"} if "/admin/" in path else {}
        answer = await gateway.request("GET", path, headers={**headers, "Accept": "application/json"})
        return json.loads(answer.body) if answer.status == 200 else None


async def _listen(database_url: str, heard: Any) -> Any:
    import asyncpg

    connection = await asyncpg.connect(plain_database_url(database_url), timeout=5)
    await connection.add_listener(CHANNEL, heard)
    return connection


def plain_database_url(database_url: str) -> str:
    """`postgresql+asyncpg://…`, as SQLAlchemy wants it, is `postgresql://…` to asyncpg."""
    parts = urlsplit(database_url)
    return parts._replace(scheme=parts.scheme.split("+")[0]).geturl()
