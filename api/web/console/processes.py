"""The stack's processes, from the `stack.json` that `checkout up` keeps, and what kills them for a demonstration:
production never has its route."""

import asyncio
import contextlib
import json
import logging
import os
import signal
from pathlib import Path

import psutil
from fastapi import APIRouter
from starlette.responses import JSONResponse

from api.gateway import GatewayDependency
from api.problems import Problem
from api.web.console.sign_in import FromOurPages

logger = logging.getLogger("api")
router = APIRouter(prefix="/admin/console/processes", include_in_schema=False, dependencies=[FromOurPages])

NAMES = ("gateway", "worker", "payment", "temporal", "postgres")
LAST_WORD = 0.2  # seconds that the gateway lives on to answer whoever kills it


@router.post("/{name}/kill")
async def kill(name: str, gateway: GatewayDependency) -> JSONResponse:
    """SIGKILL, as a crash would; `checkout up` starts it again."""
    nothing = Problem(409, "not-running", "There is nothing to kill", f"{name} does not run at the moment.")
    process = processes(gateway.settings.data_dir).get(name)
    if process is None:
        raise nothing
    if process.pid == os.getpid():
        asyncio.get_running_loop().call_later(LAST_WORD, os.kill, process.pid, signal.SIGKILL)
    else:
        try:  # each part leads a group of its own: a server and its helpers
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            raise nothing from None
    logger.warning("An operator killed %s", name)
    return JSONResponse({"killed": name}, 202)


def processes(data_dir: Path) -> dict[str, psutil.Process | None]:
    """What runs now, and None for what does not; nothing when the stack was not started by `checkout up`."""
    try:
        state = json.loads((data_dir / "stack.json").read_text())
        return {name: _child(state[name]["pid"], state["supervisor_pid"]) for name in NAMES if name in state}
    except (OSError, ValueError, LookupError, TypeError):  # none, or half of one
        return {}


def _child(pid: object, supervisor_pid: object) -> psutil.Process | None:
    """A stale file may name a pid that is somebody else's by now: only the supervisor's own children count."""
    with contextlib.suppress(psutil.Error, ValueError):
        found = psutil.Process(pid) if isinstance(pid, int) else None  # of None it would be this process
        if found and found.ppid() == supervisor_pid and found.status() != psutil.STATUS_ZOMBIE:
            return found
    return None
