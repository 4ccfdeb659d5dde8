"""What the parts hold of the machine's memory, in bytes: shared pages are counted once (PSS), else the resident set."""

import contextlib

import psutil


def of(pids: dict[str, int]) -> dict[str, int]:
    """Of each named process with all its descendants. One that has ended is left out."""
    found = {}
    for name, pid in pids.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found[name] = sum(_bytes(one) for one in (process, *process.children(recursive=True)))
    return found


def _bytes(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error, AttributeError):
        return int(process.memory_full_info().pss)  # Linux only, and only of one's own processes
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0
