"""Who answers, and at which port: whether a server is ready, which ports are free, and who holds a taken one."""

import asyncio
import contextlib
import functools
import itertools
import os
import random
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil

from stack.errors import NotReady

# Below Linux's ephemeral range (32768 and up): a server that restarts must find its port as it left it, not
# in use as the near end of somebody's outgoing connection. Processes that start stacks side by side, as tests do, are
# told a range each (`STACK_FREE_PORTS=20000-21500`): a port is free for a while after it was drawn.
_FREE_PORTS = "20000-32000"
# Neither httpx nor temporalio asks: the supervisor should be up before the first of them is imported.
_PATIENCE = 3.0  # seconds for one question; a loaded small machine may need a while to say yes


async def tcp_open(host: str, port: int) -> None:
    """Raises `NotReady` unless somebody accepts connections on host:port."""
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        raise NotReady(f"nobody answers on {host}:{port}") from error
    writer.close()


async def http_ok(url: str) -> None:
    """Raises `NotReady` unless `GET url` (plain http) is answered with 200."""
    address = urlsplit(url)
    head = f"GET {address.path or '/'} HTTP/1.1\r\nHost: {address.netloc}\r\n"
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            try:
                writer.write(f"{head}Accept: */*\r\nConnection: close\r\n\r\n".encode())
                status = (await reader.readline()).decode(errors="replace").split(maxsplit=2)
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise NotReady(f"{url} does not answer") from error
    if status[1:2] != ["200"]:
        raise NotReady(f"{url} answers {status[1] if len(status) > 1 else 'nothing'}")


def free_ports(count: int) -> list[int]:
    """`count` different ports of 127.0.0.1 that nobody listens on. Raises `OSError` when there are none.

    A port is free until its server listens, so one that was handed out comes again only after all others.
    """
    among = os.environ.get("STACK_FREE_PORTS", _FREE_PORTS)
    first, last = map(int, among.split("-"))
    tried = itertools.islice(_in_turn(first, last), last - first)
    chosen = list(itertools.islice(filter(is_free, tried), count))
    if len(chosen) < count:
        raise OSError(f"no {count} free ports among {among}")
    return chosen


@functools.cache
def _in_turn(first: int, last: int) -> Iterator[int]:
    """All of them, again and again, in an order that differs from process to process."""
    return itertools.cycle(random.sample(range(first, last), k=last - first))


def is_free(port: int) -> bool:
    """Whether a server could listen there, on 127.0.0.1. Connections in TIME_WAIT do not count, as for every server."""
    try:
        # It sets SO_REUSEADDR where that means no more than this.
        socket.create_server(("127.0.0.1", port), backlog=1).close()
    except OSError:
        return False
    return True


def holder(port: int) -> str:
    """Who listens on `port`: `name (pid 123)`."""
    with contextlib.suppress(psutil.Error):
        for one in psutil.net_connections("tcp"):
            is_it = one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port
            if is_it and one.pid is not None:
                return f"{psutil.Process(one.pid).name()} (pid {one.pid})"
    return "another process"
