"""A small HTTP/1.1 client: keep-alive, JSON and forms, nothing else.

The load generator shares two cores with what it measures, so each request of its own must cost little. Measured
against a server that answers at once, this takes a twentieth of httpx's CPU (README.md, "The client's share").
It speaks only to our own two services: Content-Length or chunked bodies, no redirects, no compression, no TLS.
"""

import asyncio
import json
from asyncio import LimitOverrunError
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_MAX_BODY = 1 << 20


class HTTPFailed(Exception):
    """No answer: the connection could not be made, broke, or was silent too long."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One keep-alive connection, opened when first used and again when the server closed it. Not for sharing."""

    def __init__(self, base_url: str, timeout: float = 20.0) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"the benchmark speaks plain http only, not {base_url}")
        # One loopback address at once, instead of a look-up and a refused ::1 for every new connection.
        self._host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
        self._port = parts.port or 80
        self._prefix = parts.path.rstrip("/")
        self._authority = parts.netloc
        self._timeout = timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """One request. Raises `HTTPFailed`. A connection found closed before any reply is opened anew, once."""
        lines = [f"{method} {self._prefix}{path} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        message = "\r\n".join(lines).encode("latin-1") + body
        fresh = self._streams is None
        try:
            async with asyncio.timeout(self._timeout):
                try:
                    return await self._exchange(message)
                except (ConnectionError, asyncio.IncompleteReadError) as error:
                    self.close()
                    if fresh or getattr(error, "partial", None):  # not idle: it had begun to answer
                        raise
                return await self._exchange(message)
        except (OSError, EOFError, TimeoutError, ValueError, LookupError, LimitOverrunError) as error:
            self.close()
            raise HTTPFailed(f"{method} {path}: {error or type(error).__name__}") from error

    async def _exchange(self, message: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, limit=_MAX_BODY)
        reader, writer = self._streams
        writer.write(message)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
        headers = {}
        for line in head[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = await self._body(reader, status, headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, headers, body)

    async def _body(self, reader: asyncio.StreamReader, status: int, headers: dict[str, str]) -> bytes:
        if status == 204:
            return b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            chunks = []
            while size := int((await reader.readline()).split(b";")[0], 16):
                chunks.append((await reader.readexactly(size + 2))[:-2])
            await reader.readline()
            return b"".join(chunks)
        length = int(headers.get("content-length", "0"))
        if length > _MAX_BODY:
            raise ValueError(f"a body of {length} bytes")
        return await reader.readexactly(length) if length else b""
