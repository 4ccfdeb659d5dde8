"""HTTP/1.1 with bounds on what nobody has asked for yet: how large a request's head may be, and how long it may take to
send a request. Else one connection could fill the memory, and half-sent requests hold every descriptor."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
_TOO_LARGE = b"431 Request Header Fields Too Large"
_REFUSAL = b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Overlong(Exception):
    """Raised inside the parser, which then reads no further."""


class LimitedHttp(HttpToolsProtocol):
    head_seconds, body_seconds, linger_seconds = 10.0, 30.0, 1.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._untold = 0  # bytes that have come since the parser last told of a whole head, or of a piece of a body
        self._is_in_body = self._is_refused = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._limit(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._limit(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        if self._deadline is None:
            self._limit(self.head_seconds)
        self._untold += len(data)
        super().data_received(data)
        if self._untold > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["cut"] = self.transport.abort  # for a planted fault

    def on_headers_complete(self) -> None:
        self._untold = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if self._untold > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
            raise Overlong
        self._untold, self._is_in_body = 0, True
        self._limit(self.body_seconds)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._untold = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._untold, self._is_in_body = 0, False
        self._limit(None)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to whatever the parser refuses."""
        self._refuse(b"400 Bad Request")

    def _limit(self, seconds: float | None) -> None:
        """What is being sent must be whole in so many seconds; None: nothing is being sent."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._refuse)

    def _refuse(self, status: bytes = b"408 Request Timeout") -> None:
        if self._is_refused:
            return
        self._is_refused = True
        self._limit(None)
        is_busy = self.cycle is not None and not self.cycle.response_complete
        if is_busy == self._is_in_body and not (is_busy and self.cycle.response_started):
            self.transport.write(_REFUSAL % status)  # else it would fall into another answer, or behind it
        if is_busy:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        # What still comes is dropped: a socket closed over it would take the answer back.
        self.loop.call_later(self.linger_seconds, self.transport.close)
