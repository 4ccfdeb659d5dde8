"""The worker's probes, on loopback: `GET /livez` and `GET /readyz`."""

import asyncio
from types import TracebackType
from typing import Self

_READ_LIMIT = 4096


class HealthServer:
    """Answers two paths; a web framework for that would double the worker's start-up."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None
        self.is_ready = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, self._host, self._port, limit=_READ_LIMIT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await asyncio.wait_for(reader.readline(), timeout=2)
            ok = request.startswith(b"GET /livez ") or (request.startswith(b"GET /readyz ") and self.is_ready)
            status = b"200 OK" if ok else b"503 Service Unavailable"
            body = b"ok\n" if ok else b"not ready\n"
            writer.write(
                b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                % (status, len(body), body)
            )
            await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            writer.close()
