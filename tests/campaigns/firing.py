"""What happens at a failpoint (`runtime.failpoints`) of a process started with `CHECKOUT_FAILPOINTS` = `SETTING`.

The file that `FAILPOINT_ARMINGS` names holds `{"armings": [{"id", "step", "boundary", "action", "hit", "times",
"seconds"}]}` and is read whenever a failpoint is passed, so a campaign arms a running process by writing it. Beside it,
`<file>.fired` gets one synced JSON line a firing before the action is taken: proof that it fired, and why a restarted
process does not fire again.
"""

import asyncio
import fcntl
import functools
import json
import os
import signal
import time
from collections import Counter
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel

from runtime.failpoints import Boundary, Step

SETTING = "tests.campaigns.firing:fire"
ARMINGS = "FAILPOINT_ARMINGS"


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


class Arming(BaseModel, frozen=True, extra="forbid"):
    """Fires from the `hit`-th pass of a process on, until it has fired `times` times in all processes together."""

    id: str
    step: Step
    boundary: Boundary
    action: Action
    hit: int = 1
    times: int = 1
    seconds: float = 0.0


class _File(BaseModel):
    armings: list[Arming]


passes: Counter[str] = Counter()


def fired_path(path: Path) -> Path:
    """Where the firings of the armings in `path` are recorded."""
    return path.with_name(f"{path.name}.fired")


async def fire(step: Step, boundary: Boundary) -> None:
    """Do what is armed here."""
    path = Path(os.environ[ARMINGS])
    for arming in _armings(path):
        if (arming.step, arming.boundary) == (step, boundary):
            passes[arming.id] += 1
            if passes[arming.id] >= arming.hit and _claim(arming, fired_path(path)):
                await _act(arming)


def _armings(path: Path) -> list[Arming]:
    try:
        status = path.stat()
        return _read(path, status.st_mtime_ns, status.st_ino)
    except FileNotFoundError:  # nothing is armed, or nothing any more
        return []


@functools.lru_cache(maxsize=1)
def _read(path: Path, *_version: int) -> list[Arming]:
    return _File.model_validate_json(path.read_bytes()).armings


def _claim(arming: Arming, fired: Path) -> bool:
    """Record one more firing, unless all have been: under a lock, for several processes share the armings."""
    with fired.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if sum(json.loads(line)["id"] == arming.id for line in file) >= arming.times:
            return False
        file.write(json.dumps({**arming.model_dump(), "pid": os.getpid(), "at": time.time()}) + "\n")
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
