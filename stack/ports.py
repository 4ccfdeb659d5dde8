"""TCP ports on this machine: pick free ones, and say who holds a taken one."""

import contextlib
import functools
import itertools
import os
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Below Linux's ephemeral range (32768 and up): a server that restarts must find its port as it left it, not
# in use as the near end of somebody's outgoing connection.
_FIRST, _LAST = 20_000, 32_000
_LISTENING = "0A"


def free_ports(count: int) -> list[int]:
    """`count` different ports of 127.0.0.1 that nobody listens on. Raises `OSError` when there are none.

    A port is free until its server listens, so one that was handed out comes again only after all others.
    """
    tried = itertools.islice(_in_turn(_FIRST, _LAST), _LAST - _FIRST)
    chosen = list(itertools.islice((port for port in tried if is_free(port)), count))
    if len(chosen) < count:
        raise OSError(f"no {count} free ports between {_FIRST} and {_LAST}")
    return chosen


@functools.cache
def _in_turn(first: int, last: int) -> Iterator[int]:
    """Round and round, from a place and in an order that differ from those of another process."""
    return itertools.cycle(random.sample(range(first, last), k=last - first))


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
