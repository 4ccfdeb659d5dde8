"""Keeps one part running: starts it, asks until it answers, starts it again whenever it dies.

A part that dies before it was ever ready gets a few attempts and is then given up, with its last lines: what
never worked will not heal by itself. One that has worked is started again for ever, at once the first time,
then ever more slowly, so that a shop comes back by itself when whatever broke it is over.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from typing import Any

from stack.errors import NotReady, PartFailed, StackError
from stack.logs import PartLog, Screen
from stack.part import Part, show_all
from stack.process import Child

RESTART_DELAYS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds; the last one repeats
LOOP_AT = 4  # deaths in a row that are called a crash loop
FIRST_ATTEMPTS = 3  # deaths before it was ever ready that end the attempt to start
_ASK_FIRST, _ASK_LAST = 0.02, 0.2  # seconds between two questions whether it is ready, growing


class Keeper:
    """One part's keeper. `restarts` counts how often it was started again."""

    def __init__(self, part: Part, log: PartLog, screen: Screen, on_change: Callable[[], None]) -> None:
        self.part = part
        self.restarts = 0
        self._log = log
        self._screen = screen
        self._on_change = on_change
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._failure: asyncio.Future[None] | None = None
        self._was_ready = False
        self._why_not = "it has not been asked yet"
        self._stopping = False
        self._ready_at: float | None = None

    @property
    def pid(self) -> int | None:
        """Of its running process."""
        return self._child.pid if self._child is not None and self._child.running else None

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises `PartFailed` when it will not be."""
        if self._task is not None:
            raise RuntimeError(f"{self.part.name} is already kept running")
        self._was_ready = self._stopping = False
        self._failure = asyncio.get_running_loop().create_future()
        self._failure.add_done_callback(lambda failure: failure.cancelled() or failure.exception())
        self._task = asyncio.create_task(self._keep(self._failure), name=f"keep {self.part.name}")
        self._screen.starting(self.part.name)
        await self.wait_ready(self.part.ready_within)

    async def wait_ready(self, timeout: float) -> None:
        """Returns when it answers. Raises `PartFailed` when it is given up or `timeout` seconds pass."""
        if self._failure is None:
            raise PartFailed(f"{self.part.name} is not started")
        ready = asyncio.ensure_future(self._ready.wait())
        try:
            both: set[asyncio.Future[Any]] = {ready, self._failure}
            await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                self._failure.result()
            if not ready.done():
                reason = f"{self.part.name} was not ready within {timeout:.0f} seconds: {self._why_not}"
                raise PartFailed(self._with_tail(reason))
        finally:
            ready.cancel()

    async def kill(self, number: signal.Signals) -> None:
        """Signal its processes. After SIGKILL, returns when they are gone."""
        child = self._child
        if child is None:
            raise PartFailed(f"{self.part.name} does not run")
        if number is signal.SIGKILL:
            self._ready.clear()
        child.send(number)
        if number is signal.SIGKILL:
            await child.ended()

    async def stop(self) -> None:
        """End it, and do not start it again."""
        if self._task is None:
            return
        self._stopping = True
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        self._ready.clear()
        if self._child is not None:
            await self._child.stop(self.part.stop_signal, self.part.stop_within)
            self._child = None
        self._on_change()

    def kill_now(self) -> None:
        """Kill without waiting: the last resort."""
        if self._task is not None:
            self._task.cancel()
        if self._child is not None:
            self._child.send(signal.SIGKILL)

    async def _keep(self, failure: asyncio.Future[None]) -> None:
        deaths = 0
        while True:
            self._ready_at = None
            try:
                what = await self._run_once()
            except (StackError, OSError) as error:
                what = str(error)
                if not self._was_ready:
                    sentence = what if isinstance(error, StackError) else f"{self.part.name} cannot start: {what}"
                    failure.set_exception(PartFailed(sentence))
                    return
            if self.part.once:
                return
            deaths = 1 if self._answered_for() > self.part.steady_after else deaths + 1
            if not self._was_ready and deaths >= FIRST_ATTEMPTS:
                failure.set_exception(PartFailed(self._with_tail(f"{self.part.name} does not start: it {what}")))
                return
            delay = RESTART_DELAYS[min(deaths, len(RESTART_DELAYS)) - 1]
            self._report(what, deaths, delay)
            await asyncio.sleep(delay)
            self.restarts += 1

    async def _run_once(self) -> str:
        """Run the process to its end. Returns how it ended, as a predicate: "ended with exit code 1"."""
        if self.part.prepare is not None:
            await self.part.prepare()
        self._log.forget()
        self._child = child = Child.spawn(self.part, self._on_line)
        self._on_change()
        asking = asyncio.create_task(self._ask(child))
        try:
            code = await child.ended()
        finally:
            asking.cancel()
            self._ready.clear()
        self._on_change()
        if self.part.once:
            if code != 0:
                raise PartFailed(self._with_tail(f"{self.part.name} {_ending(code)}"))
            self._is_ready(child)
        return _ending(code)

    async def _ask(self, child: Child) -> None:
        pause = _ASK_FIRST
        while self.part.ready is not None:
            try:
                await self.part.ready()
                break
            except NotReady as reason:
                self._why_not = str(reason)
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, _ASK_LAST)
        if child.running and not self.part.once:
            self._is_ready(child)

    def _is_ready(self, child: Child) -> None:
        self._was_ready = True
        self._ready_at = time.monotonic()
        self._ready.set()
        self._screen.ready(self.part.name, time.monotonic() - child.started_at)
        self._on_change()

    def _answered_for(self) -> float:
        """Seconds from when the present run was ready until now; 0 if it never was."""
        return 0.0 if self._ready_at is None else time.monotonic() - self._ready_at

    def _on_line(self, line: str) -> None:
        self._log.write(line)
        # Servers that show only warnings would warn, while stopping, about being stopped.
        if self.part.shows is show_all or (not self._stopping and self.part.shows(line)):
            self._screen.line(self.part.name, line)

    def _report(self, what: str, deaths: int, delay: float) -> None:
        when = "at once" if delay == 0 else f"in {delay:g} s"
        if deaths < LOOP_AT:
            sentence = f"{self.part.name} {what}; starting it again {when}"
        else:
            reason = f"{self.part.name} keeps dying: {deaths} times in a row, the last time it {what}"
            sentence = self._with_tail(f"{reason}; trying again {when}")
        self._screen.trouble(self.part.name, sentence)

    def _with_tail(self, sentence: str) -> str:
        tail = self._log.tail()
        return sentence + (". Its last lines:\n" + "\n".join(f"    {line}" for line in tail) if tail else "")


def _ending(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
