"""CPU seconds of every part and all its children, from `/proc` (proc_pid_stat(5)). Linux only; else nothing."""

import os
import time
from collections import defaultdict
from pathlib import Path

# Of the fields after the parenthesised name: ppid, then utime, stime, cutime, cstime in clock ticks.
_PPID, _UTIME, _CSTIME = 1, 11, 14


def _processes(proc: Path) -> dict[int, tuple[int, int]]:
    """Of each process: its parent, and the ticks of itself and of the children it has buried."""
    found = {}
    for entry in proc.iterdir() if proc.is_dir() else ():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it ended between the two
        ticks = sum(int(field) for field in fields[_UTIME : _CSTIME + 1])
        found[int(entry.name)] = (int(fields[_PPID]), ticks)
    return found


def cpu_seconds(pids: dict[str, int], proc: Path = Path("/proc")) -> dict[str, float]:
    """CPU seconds so far of each named process with all its descendants, buried ones included.

    PostgreSQL's work is done in a child for every connection, and a child's ticks move to its parent when it ends,
    so the sum over the living tree only ever grows.
    """
    processes = _processes(proc)
    children = defaultdict(list)
    for pid, (parent, _) in processes.items():
        children[parent].append(pid)
    per_second = os.sysconf("SC_CLK_TCK")
    result = {}
    for name, root in pids.items():
        ticks, queue = 0, [root] if root in processes else []
        while queue:
            pid = queue.pop()
            ticks += processes[pid][1]
            queue += children[pid]
        if root in processes:
            result[name] = ticks / per_second
    return result


def machine_seconds(proc: Path = Path("/proc")) -> tuple[float, float] | None:
    """CPU seconds of the whole machine so far: (at work, in all). None where `/proc/stat` is not."""
    try:
        line = (proc / "stat").read_text().splitlines()[0].split()
    except (OSError, IndexError):
        return None
    # user nice system idle iowait irq softirq steal; a guest's time is part of user's already
    ticks = [int(field) for field in line[1:9]]
    per_second = os.sysconf("SC_CLK_TCK")
    return (sum(ticks) - ticks[3] - ticks[4]) / per_second, sum(ticks) / per_second


class CpuMeter:
    """The difference between two moments, for the parts of a stack and for this process (`client`)."""

    def __init__(self, pids: dict[str, int], proc: Path = Path("/proc")) -> None:
        self._pids, self._proc = pids, proc
        self._before: dict[str, float] = {}
        self._own_before = 0.0
        self._machine_before: tuple[float, float] | None = None
        self.others: float | None = None
        """After `stop`: which share of the machine's CPU everybody else took meanwhile, 0 to 1."""

    def start(self) -> None:
        self._before = cpu_seconds(self._pids, self._proc)
        self._own_before = time.process_time()
        self._machine_before = machine_seconds(self._proc)

    def stop(self) -> dict[str, float]:
        """CPU seconds spent since `start`, by part. A part that died in between is left out: its ticks are gone."""
        spent = {}
        for name, now in cpu_seconds(self._pids, self._proc).items():
            if name in self._before and now >= self._before[name]:
                spent[name] = now - self._before[name]
        spent["client"] = time.process_time() - self._own_before
        machine = machine_seconds(self._proc)
        if machine is not None and self._machine_before is not None and len(spent) == len(self._pids) + 1:
            busy, whole = (now - before for now, before in zip(machine, self._machine_before, strict=True))
            self.others = max(0.0, busy - sum(spent.values())) / whole if whole > 0 else None
        return spent
