"""Failpoints: named places at every boundary of gateway and worker, where a test can hurt.

Inert unless `CHECKOUT_FAILPOINTS` names a file, which `CHECKOUT_ENV=production` refuses to start with. It holds the
armings, `{"armings": [{"id", "step", "boundary", "action", "hit", "times", "seconds"}]}`, and is read whenever a
failpoint is passed, so a campaign arms a running process by writing it. Beside it, `<file>.fired` gets one synced JSON
line a firing before the action is taken: proof that it fired, and why a restarted process does not fire again. What
each step covers, and whether anything is left uncovered, the campaigns know (`tests/campaigns/registry.py`).
"""

import asyncio
import fcntl
import functools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pydantic import BaseModel

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Call = Callable[Parameters, Coroutine[Any, Any, Result]]


class Boundary(StrEnum):
    BEFORE = "before"
    """Nothing has happened yet."""
    BEFORE_COMMIT = "before_commit"
    """Of a transaction: every statement has run, locks are held, and nothing is visible to others."""
    AFTER = "after"
    """It happened, for ever; whoever asked for it does not know."""


class Step(StrEnum):
    """What can be interrupted."""

    # The gateway.
    BUY = "buy"
    START_CHECKOUT = "start_checkout"
    TAKE_EVENT = "take_event"
    SIGNAL_PAYMENT = "signal_payment"
    START_SETTLEMENT = "start_settlement"
    ASK_TO_CANCEL = "ask_to_cancel"
    START_REFUND = "start_refund"
    CHANGE_STOCK = "change_stock"
    CHANGE_CATALOGUE = "change_catalogue"
    # The worker and its database.
    OPEN_ORDER = "open_order"
    FIND_ORDER = "find_order"
    RECORD_SESSION = "record_session"
    PROCESS_ORDER = "process_order"
    FULFIL_ORDER = "fulfil_order"
    RELEASE_ORDER = "release_order"
    RECORD_DEBT = "record_debt"
    REQUEST_REFUND = "request_refund"
    RECORD_REFUND = "record_refund"
    GIVE_UP_REFUND = "give_up_refund"
    RECORD_MONEY = "record_money"
    DISPATCH_ORDER = "dispatch_order"
    # The worker and the payment service.
    CREATE_AT_PROVIDER = "create_at_provider"
    FIND_AT_PROVIDER = "find_at_provider"
    RETRIEVE_AT_PROVIDER = "retrieve_at_provider"
    EXPIRE_AT_PROVIDER = "expire_at_provider"
    REFUND_AT_PROVIDER = "refund_at_provider"
    LOOK_AT_PAYMENT = "look_at_payment"
    # The worker's sweep and Temporal.
    SWEEP = "sweep"
    HAND_TO_SETTLEMENT = "hand_to_settlement"
    FOLLOW_PAYMENT = "follow_payment"
    HAND_ON_SESSION = "hand_on_session"


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


# One switch a process: a dependency passed to every boundary would be the more dangerous thing.
_path: Path | None = None
_passes: Counter[str] = Counter()


def enable(path: Path | None) -> None:
    """Called once by a process's composition root with the setting. Without a path, failpoints stay inert."""
    global _path
    _path = path
    _passes.clear()


def fired_path(path: Path) -> Path:
    """Where the firings of the armings in `path` are recorded."""
    return path.with_name(f"{path.name}.fired")


async def failpoint(step: Step, boundary: Boundary) -> None:
    """Do what is armed here; nothing at all, unless this process was started with failpoints."""
    if _path is None:
        return
    for arming in _armings(_path):
        if (arming.step, arming.boundary) == (step, boundary):
            _passes[arming.id] += 1
            if _passes[arming.id] >= arming.hit and _claim(arming, fired_path(_path)):
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


def around(step: Step) -> Callable[[Call[Parameters, Result]], Call[Parameters, Result]]:
    """A decorator: the two boundaries of a call."""

    def decorate(call: Call[Parameters, Result]) -> Call[Parameters, Result]:
        @functools.wraps(call)
        async def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            await failpoint(step, Boundary.BEFORE)
            result = await call(*args, **kwargs)
            await failpoint(step, Boundary.AFTER)
            return result

        return wrapper

    return decorate
