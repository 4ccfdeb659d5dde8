"""Runs pytest again and again in a copy of the tree, each time in a fresh fork of this process.

Importing the libraries takes two seconds of CPU, longer than most selections: here it is done once. Nothing of ours
is imported before the fork but this package, so every run reads the sources as they are then. One JSON object a line
in (`arguments`, `log`, `report`, `limit` in seconds), one out (`code`, `seconds`).
"""

import importlib
import json
import os
import signal
import sys
import time
from typing import Any

from tests.campaigns.mutants.inside import PACKAGES, REPORT

_LIBRARIES = (
    "alembic.command",
    "asyncpg",
    "fastapi",
    "hypothesis",
    "pytest_asyncio",
    "pytest_timeout",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.ext.asyncio",
    "stripe",
    "temporalio.contrib.pydantic",
    "temporalio.testing",
    "temporalio.worker",
    "uvicorn",
)
_PATIENCE = 15.0  # seconds from the interrupt to the kill: servers that the tests started are to be stopped
TIMED_OUT = -1


def main() -> None:
    for name in _LIBRARIES:
        importlib.import_module(name)
    ours = [name for name in sys.modules if name.split(".")[0] in PACKAGES and not name.startswith("tests")]
    assert not ours, f"imported too early, so no mutation would be seen: {ours}"
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line))), flush=True)


def _run(order: dict[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _be_pytest(order)
    code = _wait(child, began + order["limit"])
    if code is None:
        os.kill(child, signal.SIGINT)
        if _wait(child, time.monotonic() + _PATIENCE) is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        code = TIMED_OUT
    return {"code": code, "seconds": time.monotonic() - began}


def _be_pytest(order: dict[str, Any]) -> None:
    code = 3
    try:
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ[REPORT] = order["report"]
        import pytest

        code = int(pytest.main(order["arguments"]))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, until: float) -> int | None:
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return None


if __name__ == "__main__":
    main()
