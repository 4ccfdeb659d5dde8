"""The stack's processes, from the `stack.json` that `checkout up` keeps. Development only: this is what kills them."""

import asyncio
import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

NAMES = ("gateway", "worker", "payment", "temporal", "postgres")
LAST_WORD = 0.2  # seconds the gateway lives on to answer whoever kills it


@dataclass(frozen=True)
class Process:
    """`pid` is None while it does not run; `age` in seconds, where the system tells."""

    name: str
    pid: int | None = None
    age: float | None = None


def processes(data_dir: Path) -> list[Process]:
    """What runs now; nothing when the stack was not started by `checkout up`."""
    try:
        state = json.loads((data_dir / "stack.json").read_text())
        parts = {name: state[name]["pid"] for name in NAMES if name in state}
        return [_process(name, pid, state["supervisor_pid"]) for name, pid in parts.items()]
    except (OSError, ValueError, LookupError, TypeError):  # none, or half of one
        return []


def kill(data_dir: Path, name: str) -> bool:
    """SIGKILL, as a crash would. False when it does not run."""
    pid = next((process.pid for process in processes(data_dir) if process.name == name), None)
    if pid is None:
        return False
    if pid == os.getpid():
        asyncio.get_running_loop().call_later(LAST_WORD, os.kill, pid, signal.SIGKILL)
        return True
    try:  # each part leads a group of its own (a server and its helpers); the supervisor starts it again
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _process(name: str, pid: object, supervisor_pid: object) -> Process:
    """A stale file may name a pid that is somebody else's by now: only the supervisor's own children count."""
    with contextlib.suppress(psutil.Error, ValueError):
        found = psutil.Process(pid) if isinstance(pid, int) else None  # of None it would be this process
        if found and found.ppid() == supervisor_pid and found.status() != psutil.STATUS_ZOMBIE:
            return Process(name, found.pid, max(0.0, time.time() - found.create_time()))
    return Process(name)
