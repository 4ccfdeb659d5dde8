"""A connection pooler as PgBouncer is one, in some of its ways: it speaks PostgreSQL's protocol (version 3) and
multiplexes clients over server sessions. Logging in is left to client and server.

    async with Pooler(database_url, mode="transaction") as pooler:
        engine = create_engine(pooler.url)

Like PgBouncer it refuses startup parameters that it cannot keep track of. `deaf`: SET is taken and not passed on.
"""

import asyncio
import contextlib
import struct
from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

_SSL_REQUEST = 80877103
_TRACKED = {b"user", b"database", b"application_name", b"client_encoding", b"datestyle", b"timezone"}
_SET_DONE = b"C" + struct.pack("!I", 8) + b"SET\0" + b"Z" + struct.pack("!I", 5) + b"I"


@dataclass(eq=False)
class _Server:
    """A session of PostgreSQL, and the client that has it at the moment."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    client: "_Client"


@dataclass(eq=False)
class _Client:
    writer: asyncio.StreamWriter
    server: _Server | None = None


@dataclass
class Pooler:
    database_url: str
    mode: Literal["session", "transaction"] = "session"
    deaf: bool = False
    _idle: list[_Server] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _listening: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listening is not None
        self._listening.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """The database, by way of the pooler."""
        assert self._listening is not None
        parts, port = urlsplit(self.database_url), self._listening.sockets[0].getsockname()[1]
        return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}"))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        client = _Client(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._begin(client, await _startup(reader, writer))
            while True:
                kind, body = await _frame(reader)
                if kind == b"X":
                    break
                if self.deaf and kind == b"Q" and body.startswith(b"SET "):
                    writer.write(_SET_DONE)
                    continue
                if client.server is None:
                    client.server = self._idle.pop()
                    client.server.client = client
                client.server.writer.write(kind + struct.pack("!I", len(body) + 4) + body)
        writer.close()
        if self.mode == "session" and client.server is not None:
            client.server.writer.close()
        self._tasks.discard(task)

    async def _begin(self, client: _Client, startup: bytes) -> None:
        """Log in, in a session of its own. What the client may not ask for ends it."""
        names = startup[4:].rstrip(b"\0").split(b"\0")[::2]
        if unknown := {name.lower() for name in names} - _TRACKED:
            told = b"SFATAL\0C08P01\0Munsupported startup parameter: " + min(unknown) + b"\0\0"
            client.writer.write(b"E" + struct.pack("!I", len(told) + 4) + told)
            raise ConnectionError
        parts = urlsplit(self.database_url)
        client.server = _Server(*await asyncio.open_connection(parts.hostname, parts.port), client)
        client.server.writer.write(struct.pack("!I", len(startup) + 4) + startup)
        answers = asyncio.create_task(self._answer(client.server))
        self._tasks.add(answers)
        answers.add_done_callback(self._tasks.discard)

    async def _answer(self, server: _Server) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, body = await _frame(server.reader)
                server.client.writer.write(kind + struct.pack("!I", len(body) + 4) + body)
                if kind == b"Z" and body == b"I" and self.mode == "transaction":
                    server.client.server = None
                    self._idle.append(server)
        server.client.writer.close()


async def _startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    while True:
        (length,) = struct.unpack("!I", await reader.readexactly(4))
        body = await reader.readexactly(length - 4)
        if struct.unpack("!I", body[:4]) != (_SSL_REQUEST,):
            return body
        writer.write(b"N")


async def _frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind = await reader.readexactly(1)
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    return kind, await reader.readexactly(length - 4)
