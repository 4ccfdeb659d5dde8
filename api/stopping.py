"""The process is told to stop: every wait in a handler ends, and every answer is still given.

Who waits for others (a session, a settlement, a refund) watches for it and answers at once what is known. Whoever
does not is cancelled a little later and answers 503 (`api.middleware.LastWords`). Event streams end: their readers
connect to the next process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

PATIENCE = 2.0  # seconds that a handler may go on after that

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
        """As long, or until the process is told to stop."""
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
