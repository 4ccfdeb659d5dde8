"""TCP ports on this machine: pick free ones, and say who holds a taken one."""

import contextlib
import functools
import itertools
import random
import socket
from collections.abc import Iterator

import psutil

# Below Linux's ephemeral range (32768 and up): a server that restarts must find its port as it left it, not
# in use as the near end of somebody's outgoing connection.
_FIRST, _LAST = 20_000, 32_000


def free_ports(count: int) -> list[int]:
    """`count` different ports of 127.0.0.1 that nobody listens on. Raises `OSError` when there are none.

    A port is free until its server listens, so one that was handed out comes again only after all others.
    """
    tried = itertools.islice(_in_turn(_FIRST, _LAST), _LAST - _FIRST)
    chosen = list(itertools.islice(filter(is_free, tried), count))
    if len(chosen) < count:
        raise OSError(f"no {count} free ports between {_FIRST} and {_LAST}")
    return chosen


@functools.cache
def _in_turn(first: int, last: int) -> Iterator[int]:
    """Round and round, from a place and in an order that differ from those of another process."""
    return itertools.cycle(random.sample(range(first, last), k=last - first))


def is_free(port: int) -> bool:
    """Whether a server could listen there, on 127.0.0.1. Connections in TIME_WAIT do not count, as for every server."""
    try:
        # It sets SO_REUSEADDR where that means no more than this.
        socket.create_server(("127.0.0.1", port), backlog=1).close()
    except OSError:
        return False
    return True


def listeners(port: int) -> list[tuple[str, int | None]]:
    """The address and the pid of all that listen on `port`; the pid is None when it is another user's process."""
    found = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    return [(one.laddr.ip, one.pid) for one in found if one.laddr and one.laddr.port == port]


def holder(port: int) -> str:
    """Who listens on `port`: `name (pid 123)`."""
    with contextlib.suppress(psutil.Error):
        for _, pid in listeners(port):
            if pid is not None:
                return f"{psutil.Process(pid).name()} (pid {pid})"
    return "another process"
