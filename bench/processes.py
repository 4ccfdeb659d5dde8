"""What the parts of a stack take of the machine: CPU and memory, each with all its descendants (PostgreSQL's work is
done in a child for every connection)."""

import contextlib
import time
from collections.abc import Callable, Iterable

import psutil


def _family(pid: int) -> Iterable[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        yield root
        yield from root.children(recursive=True)


def memory_bytes(pids: dict[str, int]) -> dict[str, int]:
    """Of each named part that lives: shared pages counted once (PSS) where the system tells, else the resident set."""
    found = {name: sum(_bytes(process) for process in _family(pid)) for name, pid in pids.items()}
    return {name: held for name, held in found.items() if held}


def _bytes(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error, AttributeError):
        return int(process.memory_full_info().pss)
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def cpu_seconds(pids: dict[str, int]) -> dict[str, float]:
    """So far, of each named part that lives. A child's time moves to its parent when it is buried (on Linux), so the
    sum over the living only grows."""
    result = {}
    for name, pid in pids.items():
        times = []
        for process in _family(pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                spent = process.cpu_times()
                times.append(spent.user + spent.system + spent.children_user + spent.children_system)
        if times:
            result[name] = sum(times)
    return result


def machine_seconds() -> tuple[float, float]:
    """CPU seconds of the whole machine so far: (at work, in all)."""
    times = psutil.cpu_times()._asdict()
    whole = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)  # a part of user's
    return whole - times["idle"] - times.get("iowait", 0.0), whole


class CpuMeter:
    """The difference between two moments, for the parts of a stack and for this process (`client`)."""

    def __init__(
        self, pids: dict[str, int], machine_seconds: Callable[[], tuple[float, float]] = machine_seconds
    ) -> None:
        self._pids, self._machine_seconds = pids, machine_seconds
        self._before: dict[str, float] = {}
        self._own_before, self._machine_before = 0.0, (0.0, 0.0)
        self.others: float | None = None
        """After `stop`: which share of the machine's CPU everybody else took meanwhile, 0 to 1."""

    def start(self) -> None:
        self._before, self._own_before = cpu_seconds(self._pids), time.process_time()
        self._machine_before = self._machine_seconds()

    def stop(self) -> dict[str, float]:
        """CPU seconds spent since `start`, by part. A part that died in between is left out: its time is gone."""
        now = cpu_seconds(self._pids)
        spent = {
            name: now[name] - before for name, before in self._before.items() if name in now and now[name] >= before
        }
        spent["client"] = time.process_time() - self._own_before
        busy, whole = (now - before for now, before in zip(self._machine_seconds(), self._machine_before, strict=True))
        if whole > 0 and len(spent) == len(self._pids) + 1:
            self.others = max(0.0, busy - sum(spent.values())) / whole
        return spent
