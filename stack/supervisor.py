"""Starts parts in the order of their needs, side by side where there are none, and stops them in reverse."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from stack.errors import StackError
from stack.keeper import Keeper
from stack.logs import PartLog, Screen
from stack.part import Part


class Supervisor:
    """Runs `parts` until stopped. `on_change` is called whenever a part gets another pid or answers again."""

    def __init__(
        self,
        parts: Sequence[Part],
        log_dir: Path,
        *,
        screen: Screen | None = None,
        on_change: Callable[[], None] = lambda: None,
        log_limit: int = 5_000_000,
    ) -> None:
        self._logs = {part.name: PartLog(log_dir / f"{part.name}.log", log_limit) for part in parts}
        self.keepers = {part.name: Keeper(part, self._logs[part.name], screen or Screen(), on_change) for part in parts}

    async def start(self) -> None:
        """Returns when every part is ready. Raises the first `StackError`; then call `stop`."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks: dict[str, asyncio.Task[None]] = {}
                for name in self.keepers:
                    tasks[name] = group.create_task(self._start_after_needs(name, tasks))
        except* StackError as failures:
            raise _first(failures) from None

    async def _start_after_needs(self, name: str, tasks: dict[str, asyncio.Task[None]]) -> None:
        keeper = self.keepers[name]
        for need in keeper.part.needs:
            if need in tasks:
                await asyncio.shield(tasks[need])
        await keeper.start()

    async def stop(self) -> None:
        """Stop every part after those that need it. Returns when no process is left."""
        stopped = {name: asyncio.Event() for name in self.keepers}

        async def stop_one(name: str) -> None:
            for other in self.keepers.values():
                if name in other.part.needs:
                    await stopped[other.part.name].wait()
            try:
                await self.keepers[name].stop()
            finally:
                stopped[name].set()

        await asyncio.gather(*(stop_one(name) for name in self.keepers))
        for log in self._logs.values():
            log.close()

    def kill_now(self) -> None:
        """Kill everything without waiting."""
        for keeper in self.keepers.values():
            keeper.kill_now()


def _first(failures: "ExceptionGroup[StackError]") -> StackError:
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, ExceptionGroup) else failure
