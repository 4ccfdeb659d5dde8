"""TCP ports on this machine: pick free ones, and say who holds a taken one."""

import contextlib
import os
import random
import socket
from dataclasses import dataclass
from pathlib import Path

# Below Linux's ephemeral range (32768 and up): a server that restarts must find its port as it left it, not
# in use as the near end of somebody's outgoing connection.
_FIRST, _LAST = 20_000, 32_000
_LISTENING = "0A"


def free_ports(count: int) -> list[int]:
    """`count` different ports of 127.0.0.1 that nobody listens on. Raises `OSError` when there are none."""
    chosen: list[int] = []
    candidates = random.sample(range(_FIRST, _LAST), k=min(2_000, _LAST - _FIRST))
    for port in candidates:
        if len(chosen) == count:
            break
        if is_free(port):
            chosen.append(port)
    if len(chosen) < count:
        raise OSError(f"no {count} free ports between {_FIRST} and {_LAST}")
    return chosen


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there. Connections in TIME_WAIT do not count, as for every server."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, port))
            attempt.listen(1)
        except OSError:
            return False
    return True


@dataclass(frozen=True)
class Holder:
    pid: int
    name: str


def holder(port: int) -> Holder | None:
    """The process that listens on `port`, or None when it cannot be seen (another user's, or not Linux)."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if os.readlink(descriptor) in inodes:
                    return Holder(int(process.name), (process / "comm").read_text().strip())
    return None


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for row in Path(table).read_text().splitlines()[1:]:
                fields = row.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
