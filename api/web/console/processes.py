"""The stack's processes, from the `stack.json` that `checkout up` keeps. Development only: this is what kills them."""

import asyncio
import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

NAMES = ("gateway", "worker", "payment", "temporal", "postgres")
LAST_WORD = 0.2  # seconds the gateway lives on to answer whoever kills it


@dataclass(frozen=True)
class Process:
    """`pid` is None while it does not run; `age` in seconds, where the system tells."""

    name: str
    url: str
    pid: int | None
    age: float | None


def processes(data_dir: Path) -> list[Process]:
    """What runs now; nothing when the stack was not started by `checkout up`."""
    state = _state(data_dir)
    return [_process(name, state) for name in NAMES if isinstance(state.get(name), dict)]


def kill(data_dir: Path, name: str) -> bool:
    """SIGKILL, as a crash would. False when it does not run."""
    state = _state(data_dir)
    process = _process(name, state) if name in NAMES and isinstance(state.get(name), dict) else None
    if process is None or process.pid is None:
        return False
    if process.pid == os.getpid():
        asyncio.get_running_loop().call_later(LAST_WORD, os.kill, process.pid, signal.SIGKILL)
        return True
    try:
        # Each part leads a group of its own (a server and its helpers); the supervisor starts it again.
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _state(data_dir: Path) -> dict[str, Any]:
    try:
        state = json.loads((data_dir / "stack.json").read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _process(name: str, state: dict[str, Any]) -> Process:
    """A stale file may name a pid that is somebody else's by now: only the supervisor's own children count."""
    pid, url = state[name].get("pid"), str(state[name].get("url", "")).rpartition("@")[2]
    with contextlib.suppress(psutil.Error, ValueError):
        found = psutil.Process(pid) if isinstance(pid, int) else None  # of None it would be this process
        if found and found.ppid() == state.get("supervisor_pid") and found.status() != psutil.STATUS_ZOMBIE:
            return Process(name, url, found.pid, max(0.0, time.time() - found.create_time()))
    return Process(name, url, None, None)
