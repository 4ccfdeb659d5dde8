"""What many ask for at the same time is read once for all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Shared(Generic[Value]):
    """At most one read of a key at a time. Nothing is kept: who asks gets what was read after they asked."""

    def __init__(self) -> None:
        self._reading: dict[Hashable, asyncio.Future[Value]] = {}
        self._next: dict[Hashable, asyncio.Future[Value]] = {}

    async def get(self, key: Hashable, read: Callable[[], Awaitable[Value]]) -> Value:
        """What `read` answers. While one read is under way all who come wait for the next one, and share it.

        A failure is told to all who share it. Who waits no longer does not end it for the others.
        """
        reading = self._next.get(key)
        if reading is None:
            before = self._reading.get(key)
            if before is None:
                reading = self._begin(key, read)
            else:
                reading = self._next[key] = asyncio.ensure_future(self._after(before, key, read))
        return await asyncio.shield(reading)

    async def _after(self, before: asyncio.Future[Value], key: Hashable, read: Callable[[], Awaitable[Value]]) -> Value:
        await asyncio.wait([before])
        reading = self._begin(key, read)
        del self._next[key]
        return await reading

    def _begin(self, key: Hashable, read: Callable[[], Awaitable[Value]]) -> asyncio.Future[Value]:
        reading = self._reading[key] = asyncio.ensure_future(read())
        reading.add_done_callback(lambda _: self._forget(key, reading))
        return reading

    def _forget(self, key: Hashable, reading: asyncio.Future[Value]) -> None:
        if self._reading.get(key) is reading:
            del self._reading[key]
        if not reading.cancelled():
            reading.exception()  # heard, also where everybody who waited has gone
