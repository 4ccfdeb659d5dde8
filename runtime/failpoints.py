"""Failpoints: named places at every boundary of gateway, worker, database and payment service, where a test can hurt.

Which places there are says the registry, `runtime.boundaries`.

Inert unless `CHECKOUT_FAILPOINTS` names a file, which `CHECKOUT_ENV=production` refuses to start with. It holds the
armings, `{"armings": [{"id", "step", "boundary", "action", "hit", "times", "seconds"}]}`; it is looked at whenever a
failpoint is passed, so a campaign arms a running process by writing it. Beside it, `<file>.fired` gets one synced JSON
line a firing before the action is taken: proof that it fired, and why a restarted process does not fire again.
"""

import asyncio
import fcntl
import functools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from runtime.boundaries import Boundary, Step

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Action(StrEnum):
    KILL = "kill"
    """SIGKILL to the whole process, at once."""
    FREEZE = "freeze"
    """SIGSTOP to the whole process; whoever armed it sends SIGCONT."""
    LOSE = "lose"
    """`ReplyLost` in place of the step's answer, or of the step."""
    SLEEP = "sleep"
    """This step alone waits `seconds`."""


class ReplyLost(ConnectionError):
    """A planted failure: what a broken connection looks like to the code that waited for the answer."""


@dataclass(frozen=True)
class Arming:
    """Fires from the `hit`-th pass of a process on, until it has fired `times` times in all processes together."""

    id: str
    step: Step
    boundary: Boundary
    action: Action
    hit: int = 1
    times: int = 1
    seconds: float = 0.0

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> "Arming":
        """Raises `ValueError` or `TypeError` for what no failpoint of ours can be."""
        fields = {
            **entry,
            "step": Step(entry["step"]),
            "boundary": Boundary(entry["boundary"]),
            "action": Action(entry["action"]),
        }
        return cls(**fields)


class Armory:
    """The armings of one process, kept up to date with the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fired = fired_path(path)
        self._version: tuple[int, int] | None = None
        self._armings: list[Arming] = []
        self._passes: Counter[str] = Counter()

    async def reach(self, step: Step, boundary: Boundary) -> None:
        """Do what is armed here. Raises `ReplyLost` for a `lose`."""
        self._refresh()
        for arming in self._armings:
            if (arming.step, arming.boundary) != (step, boundary):
                continue
            self._passes[arming.id] += 1
            if self._passes[arming.id] >= arming.hit and self._claim(arming):
                await _act(arming)

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._armings, self._version = [], None
            return
        version = (status.st_mtime_ns, status.st_ino)
        if version != self._version:
            entries = json.loads(self._path.read_text())["armings"]
            self._armings, self._version = [Arming.parse(entry) for entry in entries], version

    def _claim(self, arming: Arming) -> bool:
        """Record one more firing, unless all have been: under a lock, for several processes share the armings."""
        with self._fired.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            if sum(json.loads(line)["id"] == arming.id for line in file) >= arming.times:
                return False
            file.write(json.dumps({**asdict(arming), "pid": os.getpid(), "at": time.time()}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return True


async def _act(arming: Arming) -> None:
    match arming.action:
        case Action.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        case Action.FREEZE:
            os.kill(os.getpid(), signal.SIGSTOP)
        case Action.LOSE:
            raise ReplyLost(f"planted at {arming.step}.{arming.boundary}")
        case Action.SLEEP:
            await asyncio.sleep(arming.seconds)


_armory: Armory | None = None


def enable(path: Path | None) -> None:
    """Called once by a process's composition root with the setting. Without a path, failpoints stay inert."""
    global _armory  # one switch a process: a dependency passed to every boundary would be the more dangerous thing
    _armory = Armory(path) if path is not None else None


def fired_path(path: Path) -> Path:
    """Where the firings of the armings in `path` are recorded."""
    return path.with_name(f"{path.name}.fired")


async def failpoint(step: Step, boundary: Boundary) -> None:
    """Nothing at all, unless this process was started with failpoints."""
    if _armory is not None:
        await _armory.reach(step, boundary)


def around(
    step: Step,
) -> Callable[[Callable[Parameters, Coroutine[Any, Any, Result]]], Callable[Parameters, Coroutine[Any, Any, Result]]]:
    """A decorator: the two boundaries of a call."""

    def decorate(
        call: Callable[Parameters, Coroutine[Any, Any, Result]],
    ) -> Callable[Parameters, Coroutine[Any, Any, Result]]:
        @functools.wraps(call)
        async def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            if _armory is None:
                return await call(*args, **kwargs)
            await _armory.reach(step, Boundary.BEFORE)
            result = await call(*args, **kwargs)
            await _armory.reach(step, Boundary.AFTER)
            return result

        return wrapper

    return decorate
