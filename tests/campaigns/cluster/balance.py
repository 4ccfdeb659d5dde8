"""What stands before several of a kind: a balancer of connections, and one of HTTP requests.

Both ask who is ready before they choose, and choose another when the chosen one is gone. They are ours so that `make
cluster` needs no more than it is given; any proxy with health checks and retries does the same.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from stack.errors import NotReady
from stack.probes import http_ok, tcp_open

Target = tuple[int, Callable[[], Awaitable[None]]]
"""A port of this machine, and a question that raises `NotReady`."""
_LOOK_EVERY = 0.25
_LIMIT = 1 << 20


def gateway(port: int) -> Target:
    return port, partial(http_ok, f"http://127.0.0.1:{port}/readyz")


def listener(port: int) -> Target:
    return port, partial(tcp_open, "127.0.0.1", port)


class Balancer:
    """`async with` listens on `port` of 127.0.0.1 (0: any, see `port`). Connections are handed on whole."""

    def __init__(self, targets: Sequence[Target], port: int = 0) -> None:
        self._targets, self.port = targets, port
        self._ready = {target: True for target, _ in targets}
        self._turn = itertools.count()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, limit=_LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]
        self._tasks = {asyncio.create_task(self._ask(target, probe)) for target, probe in self._targets}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, target: int, probe: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await probe()
                self._ready[target] = True
            except NotReady:
                self._ready[target] = False
            await asyncio.sleep(_LOOK_EVERY)

    def in_turn(self) -> list[int]:
        """Whom to try, in this order: those who are ready, each first once in a while, then the others."""
        ports = [target for target, _ in self._targets]
        first = next(self._turn) % len(ports)
        return sorted(ports[first:] + ports[:first], key=lambda port: not self._ready[port])

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises `OSError`, and knows from then on that nobody is there until it is asked again."""
        try:
            return await asyncio.open_connection("127.0.0.1", port, limit=_LIMIT)
        except OSError:
            self._ready[port] = False
            raise

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self.serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # whoever asked sees a closed connection
        finally:
            self._tasks.discard(task)
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for port in self.in_turn():
            with contextlib.suppress(OSError):
                back, server = await self.connect(port)
                break
        else:
            return
        try:
            pumps = [asyncio.create_task(_pump(reader, server)), asyncio.create_task(_pump(back, writer))]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            server.close()


class HttpBalancer(Balancer):
    """Requests with Content-Length, one a connection. One that got no byte of an answer is tried elsewhere: every
    request of the shop may be repeated, and what buys carries its key."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head[:-4].split(b"\r\n")
        lengths = [line.partition(b":")[2] for line in lines if line.lower().startswith(b"content-length:")]
        body = await reader.readexactly(min(int(lengths[0]), _LIMIT)) if lengths else b""
        kept = [line for line in lines if not line.lower().startswith(b"connection:")]
        request = b"\r\n".join([*kept, b"Connection: close", b"", b""]) + body
        for port in self.in_turn() * 2:
            with contextlib.suppress(OSError):
                back, server = await self.connect(port)
                try:
                    server.write(request)
                    if answered := await back.read(_LIMIT):
                        writer.write(answered)
                        await _pump(back, writer)
                        return
                finally:
                    server.close()
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(_LIMIT):
        sink.write(data)
        await sink.drain()
