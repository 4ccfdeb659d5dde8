"""How handlers wait: for what others ask for as well (`Shared`), and no longer than the process lives (`Stopping`)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

PATIENCE = 2.0  # seconds that a handler may go on after the process was told to stop

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Stopping:
    """One a process. Once it is told to stop, whoever waits for something (a session, a settlement, a refund) answers
    what is known; a handler that goes on runs out of time (`api.middleware.last_words` answers for it); event streams
    end, and are read elsewhere."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self._then: list[Callable[[], None]] = []
        self._handlers: set[asyncio.Timeout] = set()

    def when_told(self, call: Callable[[], None]) -> None:
        self._then.append(call)

    def tell(self) -> None:
        self._told.set()
        for call in self._then:
            call()
        for handler in self._handlers:
            handler.reschedule(asyncio.get_running_loop().time() + PATIENCE)

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
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told.wait()

    @asynccontextmanager
    async def handling(self) -> AsyncIterator[asyncio.Timeout]:
        """A request is answered in the block: with no limit until the process is told to stop, then `PATIENCE`."""
        async with asyncio.timeout(PATIENCE if self.is_told else None) as limit:
            self._handlers.add(limit)
            try:
                yield limit
            finally:
                self._handlers.discard(limit)


class Shared(Generic[Key, Value]):
    """What `read` answers, at most one read of a key at a time. Nothing is kept: who asks gets what was read after they
    asked. While one read is under way all who come wait for the next one, and share it, a failure included. Who waits
    no longer does not end it for the others."""

    def __init__(self, read: Callable[[Key], Awaitable[Value]]) -> None:
        self._read = read
        self._next: dict[Key, asyncio.Task[Value]] = {}
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, key: Key) -> Value:
        if key not in self._next:
            self._next[key] = asyncio.create_task(self._in_turn(key))
            # Marks the error as seen, else asyncio warns when nobody waits any more.
            self._next[key].add_done_callback(lambda reading: reading.cancelled() or reading.exception())
        return await asyncio.shield(self._next[key])

    async def _in_turn(self, key: Key) -> Value:
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            del self._next[key]  # who comes from now on asks for what is read after this
            return await self._read(key)
