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


class CpuMeter:
    """The difference between two moments, for the parts of a stack and for this process (`client`)."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._before: dict[str, float] = {}
        self._own_before = 0.0

    def start(self) -> None:
        self._before = cpu_seconds(self._pids)
        self._own_before = time.process_time()

    def stop(self) -> dict[str, float]:
        """CPU seconds spent since `start`, by part. A part that died in between is left out: its ticks are gone."""
        spent = {}
        for name, now in cpu_seconds(self._pids).items():
            if name in self._before and now >= self._before[name]:
                spent[name] = now - self._before[name]
        spent["client"] = time.process_time() - self._own_before
        return spent
