"""Starts parts in the order of their needs, side by side where there are none; watches, restarts and stops them.

One that was never ready is given up after a few attempts, with its last lines: what never worked will not heal by
itself. One that has worked is started again for ever, at once the first time, then ever more slowly.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from stack.errors import NotReady, PartFailed, StackError
from stack.parts import Part
from stack.process import Child, PartLog

RESTART_DELAYS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds; the last one repeats
LOOP_AT = 4  # deaths in a row that are called a crash loop
FIRST_ATTEMPTS = 3  # deaths before it was ever ready that end the attempt to start
_ASK_FIRST, _ASK_LAST = 0.02, 0.2  # seconds between two questions whether it is ready, growing


Event = Literal["starting", "ready", "trouble", "line"]
Screen = Callable[[str, Event, str], None]
"""Is told of a part by its name: it is started for the first time, answers, died, or wrote a line. Must not block."""


def nowhere(part: str, event: Event, text: str) -> None:
    """A screen that shows nothing: the log files have it all."""


class Keeper:
    """Keeps one part running. `restarts` counts how often it was started again; `on_change` is called whenever it gets
    another pid or answers again."""

    def __init__(
        self, part: Part, log_dir: Path, screen: Screen = nowhere, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self.part = part
        self.restarts = 0
        self._log = PartLog(log_dir / f"{part.name}.log")
        self._tell = partial(screen, part.name)
        self._on_change = on_change
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None  # None: not started, or told to stop
        self._ready = asyncio.Event()
        self._ready_at: float | None = None
        self._was_ready = False
        self._why_not = "it has not been asked yet"

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int:
        """The id of its running process. Raises `PartFailed` when there is none at the moment."""
        if self._child is None or not self._child.running:
            raise PartFailed(f"{self.part.name} does not run")
        return self._child.pid

    async def start(self) -> None:
        """Returns when it is ready. Raises `StackError` when it will not be."""
        assert self._task is None, f"{self.part.name} is already kept running"
        self._was_ready = False
        self._task = asyncio.create_task(self._keep(), name=f"keep {self.part.name}")
        self._tell("starting", "")
        await self.wait_ready(self.part.ready_within)

    async def wait_ready(self, timeout: float = 30.0) -> None:
        """Returns when it answers. Raises `StackError` when it is given up or `timeout` seconds pass."""
        keeping = self._task
        if keeping is None:
            raise PartFailed(f"{self.part.name} is not started")
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait({ready, keeping}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                return
        finally:
            ready.cancel()
        if keeping.done() and not keeping.cancelled():
            keeping.result()
        reason = f"{self.part.name} was not ready within {timeout:.0f} seconds: {self._why_not}"
        raise PartFailed(self._log.with_tail(reason))

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal its processes. After SIGKILL, returns when they are gone: then `wait_ready` means the successor."""
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
        keeping, self._task = self._task, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        self._ready.clear()
        if self._child is not None:
            await self._child.stop(self.part.stop_signal, self.part.stop_within)
            self._child = None
        self._log.close()
        self._on_change()

    def kill_now(self) -> None:
        """Kill without waiting: the last resort."""
        if self._task is not None:
            self._task.cancel()
        if self._child is not None:
            self._child.send(signal.SIGKILL)

    async def _keep(self) -> None:
        """Run it, again and again. Raises `StackError` when it never works."""
        deaths = 0
        while True:
            self._ready_at = None
            try:
                ending = await self._run_once()
            except (StackError, OSError) as error:
                ending = str(error)
                if not self._was_ready:
                    prefix = "" if isinstance(error, StackError) else f"{self.part.name} cannot start: "
                    raise PartFailed(prefix + ending) from error
            if self.part.once:
                return
            answered_for = 0.0 if self._ready_at is None else time.monotonic() - self._ready_at
            deaths = 1 if answered_for > self.part.steady_after else deaths + 1
            if not self._was_ready and deaths >= FIRST_ATTEMPTS:
                raise PartFailed(self._log.with_tail(f"{self.part.name} does not start: it {ending}"))
            delay = RESTART_DELAYS[min(deaths, len(RESTART_DELAYS)) - 1]
            self._tell("trouble", self._trouble(ending, deaths, delay))
            await asyncio.sleep(delay)
            self.restarts += 1

    async def _run_once(self) -> str:
        """Run the process to its end. Returns how it ended, as a predicate: "ended with exit code 1"."""
        if self.part.prepare is not None:
            await self.part.prepare()
        self._log.tail.clear()  # so that messages quote this run only
        self._child = child = Child(self.part, self._on_line)
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
                raise PartFailed(self._log.with_tail(f"{self.part.name} {_ending(code)}"))
            self._mark_ready(child)
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
            self._mark_ready(child)

    def _mark_ready(self, child: Child) -> None:
        self._was_ready = True
        self._ready_at = time.monotonic()
        self._ready.set()
        seconds = self._ready_at - child.started_at
        self._tell("ready", f"{'done' if self.part.once else 'ready'} after {seconds:.1f} s")
        self._on_change()

    def _on_line(self, line: str) -> None:
        self._log.write(line)
        # Servers that show only warnings would warn, while stopping, about being stopped.
        if self.part.shows is None or (self._task is not None and self.part.shows(line)):
            self._tell("line", line)

    def _trouble(self, ending: str, deaths: int, delay: float) -> str:
        when = "at once" if delay == 0 else f"in {delay:g} s"
        if deaths < LOOP_AT:
            return f"{self.part.name} {ending}; starting it again {when}"
        reason = f"{self.part.name} keeps dying: {deaths} times in a row, the last time it {ending}"
        return self._log.with_tail(f"{reason}; trying again {when}")


async def start_all(keepers: Mapping[str, Keeper]) -> None:
    """Returns when every part is ready. Raises the first `StackError`; then call `stop_all`."""
    starting: dict[str, asyncio.Task[None]] = {}

    async def start(keeper: Keeper) -> None:
        for need in keeper.part.needs:
            if need in starting:
                await asyncio.shield(starting[need])
        await keeper.start()

    starting |= {name: asyncio.create_task(start(keeper)) for name, keeper in keepers.items()}
    try:
        await asyncio.gather(*starting.values())
    finally:
        for task in starting.values():
            task.cancel()


async def stop_all(keepers: Mapping[str, Keeper]) -> None:
    """Stop every part after those that need it. Returns when no process is left."""
    stopping: dict[str, asyncio.Task[None]] = {}

    async def stop(keeper: Keeper) -> None:
        needy = [name for name, other in keepers.items() if keeper.part.name in other.part.needs]
        await asyncio.gather(*(stopping[name] for name in needy), return_exceptions=True)
        await keeper.stop()

    stopping |= {name: asyncio.create_task(stop(keeper)) for name, keeper in keepers.items()}
    await asyncio.gather(*stopping.values())


def _ending(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
