"""How handlers wait. `Shared`: what many ask for at the same time is read once for all of them.

`Stopping`: once the process is told to stop, who waits for something (a session, a settlement, a refund) answers at
once what is known; a handler that goes on is cancelled a little later and answers 503 (`api.middleware.LastWords`);
event streams end, and are read elsewhere.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

PATIENCE = 2.0  # seconds that a handler may go on after the process was told to stop

Value = TypeVar("Value")


class Stopping:
    """One a process."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self._then: list[Callable[[], None]] = []
        self._handlers: set[asyncio.Task[object]] = set()
        self.is_over = False

    def when_told(self, call: Callable[[], None]) -> None:
        self._then.append(call)

    def tell(self) -> None:
        self._told.set()
        for call in self._then:
            call()
        asyncio.get_running_loop().call_later(PATIENCE, self._end)

    @property
    def is_told(self) -> bool:
        return self._told.is_set()

    async def unless(self, work: Awaitable[Value]) -> Value | None:
        """The result, or None if the process is told to stop before it is there; the work is then cancelled."""
        working, told = asyncio.ensure_future(work), asyncio.ensure_future(self._told.wait())
        try:
            await asyncio.wait({working, told}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            working.cancel()
            told.cancel()

    async def sleep(self, seconds: float) -> None:
        await self.unless(asyncio.sleep(seconds))

    @contextmanager
    def handling(self) -> Iterator[None]:
        """The current task answers somebody."""
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            yield
        finally:
            self._handlers.discard(task)

    def _end(self) -> None:
        self.is_over = True
        for task in self._handlers:
            task.cancel()


class Usual:
    """How long something took of late, in seconds: the quickest counts at once, slower ones little by little."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def took(self, seconds: float) -> None:
        self.seconds = min(seconds, self.seconds + (seconds - self.seconds) / 4)


class Shared(Generic[Value]):
    """At most one read of a key at a time. Nothing is kept: who asks gets what was read after they asked."""

    def __init__(self) -> None:
        self._next: dict[Hashable, asyncio.Task[Value]] = {}
        self._turns: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def get(self, key: Hashable, read: Callable[[], Awaitable[Value]]) -> Value:
        """What `read` answers. While one read is under way all who come wait for the next one, and share it, a failure
        included. Who waits no longer does not end it for the others."""
        if key not in self._next:
            self._next[key] = asyncio.create_task(self._read(key, read))
            self._next[key].add_done_callback(_hear)
        return await asyncio.shield(self._next[key])

    async def _read(self, key: Hashable, read: Callable[[], Awaitable[Value]]) -> Value:
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            del self._next[key]  # who comes from now on asks for what is read after this
            return await read()


def _hear(reading: asyncio.Task[Any]) -> None:
    """A failure is no news where everybody who waited for it has gone."""
    if not reading.cancelled():
        reading.exception()
