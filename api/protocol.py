"""HTTP/1.1 with bounds on a request's head and on the time to send it: httptools and uvicorn keep headers of any length
for as long as it takes, so one connection could fill the memory, and half-sent requests hold every file descriptor.
The size of bodies is bounded where they are read (`api.middleware.entrance`)."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.metrics import REFUSED
from api.problems import MEDIA_TYPE, Problem

MAX_HEAD_BYTES = 64 * 1024  # request line and headers, and the trailers of a chunked body
LINGER_SECONDS = 1.0  # what still comes is dropped unread: a socket closed over it would take the answer back
MAX_PIPELINED = 16  # requests sent ahead on one connection


class Overlong(Exception):
    """Raised inside the parser, which then reads no further."""


class BoundedHttp(HttpToolsProtocol):
    head_seconds = 10.0
    body_seconds = 30.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._untold = 0  # bytes that the parser was given since it last told of a whole head, or of a piece of a body
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
        if self._untold > MAX_HEAD_BYTES and not self._is_refused:
            self._refuse_overlong()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._untold += 1  # at least, of one that was sent ahead
        self._limit(self.head_seconds)

    def on_headers_complete(self) -> None:
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD_BYTES:
            self._refuse_overlong()
        if self._is_refused or len(self.pipeline) >= MAX_PIPELINED:
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
        if not self._is_refused:
            self._refuse(400, "malformed-http", "This is not HTTP/1.1")

    def _limit(self, seconds: float | None) -> None:
        """What is being sent must be whole within so many seconds from now; None takes the limit away."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        if self._untold or self._is_in_body:
            self._refuse(408, "request-timeout", "The request was not sent in time")
        else:  # a connection that was never used
            self.transport.close()

    def _refuse_overlong(self) -> None:
        self._refuse(431, "headers-too-large", f"The request's head has more than {MAX_HEAD_BYTES} bytes")

    def _refuse(self, status: int, code: str, title: str) -> None:
        """Answer and close the connection; without an answer where it would fall into another request's."""
        self._is_refused = True
        REFUSED.labels(status).inc()
        self._limit(None)
        is_busy = self.cycle is not None and not self.cycle.response_complete
        if is_busy == self._is_in_body and not (is_busy and self.cycle.response_started):
            # By hand: this request reaches no application.
            body = Problem(status, code, title).response().body
            head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head.encode() + body)
        if is_busy:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
