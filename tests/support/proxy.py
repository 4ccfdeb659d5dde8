"""A TCP proxy of the tests' own, to stand before PostgreSQL, Temporal, the gateway and the payment service.

    async with TcpProxy("127.0.0.1", 5433) as proxy:
        proxy.blackhole()      # from now on, on living connections too
        proxy.pass_through()   # what was held is delivered, as when a network comes back

It works on bytes and knows no protocol. Directions are named by who receives: `to="server"` or `to="client"`.
"""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

Side = Literal["client", "server"]
_CHUNK = 65_536
# SO_LINGER with no time to linger: close() sends RST instead of FIN.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Link:
    """One client's connection and ours to the server. `passed` counts bytes since the last `cut_after`."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    passed: Counter[Side] = field(default_factory=Counter)

    def writer(self, to: Side) -> asyncio.StreamWriter:
        return self.client if to == "client" else self.server

    def reset(self) -> None:
        for writer in (self.client, self.server):
            _reset(writer)


@dataclass(frozen=True)
class _Cut:
    """Let `count` bytes pass `to` a side on each connection, then reset it."""

    to: Side
    count: int


class TcpProxy:
    """`async with` listens on `port` of 127.0.0.1. `hits` counts what the faults did, by their names."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._open: dict[Side, asyncio.Event] = {"client": asyncio.Event(), "server": asyncio.Event()}
        self._delay = 0.0
        self._resets = False
        self._cut: _Cut | None = None
        self.hits: Counter[str] = Counter()
        self.port = 0

    async def __aenter__(self) -> Self:
        self.pass_through()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._reset_all()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    @property
    def links(self) -> int:
        """How many connections go through it now."""
        return len(self._links)

    def in_place_of(self, url: str) -> str:
        """The same URL with the proxy's address; who logs in, path and query stay."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    def lead_to(self, port: int) -> None:
        """From the next connection on, to another server of this machine."""
        self._target = self._target[0], port

    def pass_through(self) -> None:
        """No fault any more. What a blackhole held goes on its way."""
        self._delay, self._resets, self._cut = 0.0, False, None
        for gate in self._open.values():
            gate.set()

    def blackhole(self, *to: Side) -> None:
        """Nothing arrives, in the given directions or both, and nobody is told. Connections are still accepted."""
        for side in to or ("client", "server"):
            self._open[side].clear()

    def reset(self) -> None:
        """Every connection is reset (RST), living ones and new ones, until `pass_through`."""
        self._resets = True
        self._reset_all()

    def cut_after(self, count: int, *, to: Side) -> None:
        """On each connection let `count` more bytes pass `to` a side, then reset it; until `pass_through`."""
        self._cut = _Cut(to, count)
        for link in self._links:
            link.passed.clear()

    def delay(self, seconds: float) -> None:
        """Every chunk, in both directions, is late by this long."""
        self._delay = seconds

    def half_close(self, *, to: Side) -> None:
        """End the stream `to` a side (FIN) on every living connection; the other direction goes on."""
        for link in self._links:
            with contextlib.suppress(OSError, RuntimeError):
                link.writer(to).write_eof()
                self.hits["half_close"] += 1

    def say(self, data: bytes, *, to: Side) -> None:
        """Words of our own to a side, on every living connection."""
        for link in self._links:
            link.writer(to).write(data)
            self.hits["say"] += 1

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self._resets:
            self.hits["reset"] += 1
            _reset(client)
            return
        try:
            back, server = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(client)  # nobody listens there: the nearest a listening proxy can come to "connection refused"
            return
        link = _Link(client, server)
        self._links.add(link)
        pumps = [
            asyncio.create_task(self._pump(link, reader, "server")),
            asyncio.create_task(self._pump(link, back, "client")),
        ]
        self._pumps.update(pumps)
        await asyncio.gather(*pumps, return_exceptions=True)
        self._pumps.difference_update(pumps)
        self._links.discard(link)
        for writer in (client, server):
            writer.close()

    async def _pump(self, link: _Link, source: asyncio.StreamReader, to: Side) -> None:
        writer = link.writer(to)
        try:
            while data := await source.read(_CHUNK):
                if self._delay:
                    self.hits["delay"] += 1
                    await asyncio.sleep(self._delay)
                if not self._open[to].is_set():
                    self.hits["blackhole"] += 1
                    await self._open[to].wait()
                if not await self._forward(link, writer, data, to):
                    return
            await self._open[to].wait()
            if not writer.is_closing():
                writer.write_eof()
        except (OSError, RuntimeError):
            link.reset()

    async def _forward(self, link: _Link, writer: asyncio.StreamWriter, data: bytes, to: Side) -> bool:
        """False once the connection was cut."""
        cut = self._cut
        if cut is not None and cut.to == to:
            left = cut.count - link.passed[to]
            link.passed[to] += len(data)
            if len(data) > left:
                if left > 0:
                    writer.write(data[:left])
                    await writer.drain()
                self.hits["cut"] += 1
                link.reset()
                return False
        writer.write(data)
        await writer.drain()
        return True

    def _reset_all(self) -> None:
        for link in list(self._links):
            self.hits["reset"] += 1
            link.reset()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST. Silent when it is closed already."""
    transport_socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
