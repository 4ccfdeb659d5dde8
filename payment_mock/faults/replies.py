"""The wrong answers a provider, or the network before it, can give."""

from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from payment_mock.domain import wire
from payment_mock.domain.errors import api_error
from payment_mock.faults.rules import Rule
from payment_mock.store.idempotency import Answer

_HUGE = 64 * 1024 * 1024
_SCOPE_KEY = "payment_mock.send"


class FaultReply(Exception):
    """A planted fault takes the place of the reply."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.action)
        self.rule = rule

    @property
    def is_sticky(self) -> bool:
        """Whether the idempotency key is to remember this error."""
        return self.rule.action == "sticky_error"

    @property
    def answer(self) -> Answer:
        error = api_error(self.rule.status or 500)
        headers = {"stripe-should-retry": "false" if self.is_sticky else "true"} if error.status >= 500 else {}
        return Answer(error.status, wire.encode(error.body), headers)

    def response(self) -> Response:
        match self.rule.action:
            case "drop":
                return Dropped()
            case "redirect":
                return Response(status_code=302, headers={"location": "http://127.0.0.1:9/elsewhere"})
            case "huge_body":
                return HugeResponse()
            case "broken_body":
                return Response(b'{"id": "cs_test_broken", "object": "checkout.sess', media_type="application/json")
        return Response(self.answer.body, self.answer.status, self.answer.headers, "application/json")


class HugeResponse(Response):
    """64 MiB of JSON white space, in chunks, without a length."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        chunk = b" " * 65_536
        for _ in range(_HUGE // len(chunk)):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Dropped(Response):
    """No answer at all: the connection is cut, as when a process dies or the network goes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = getattr(getattr(scope.get(_SCOPE_KEY), "__self__", None), "transport", None)
        if transport is not None:
            transport.abort()
            return
        # Another server than uvicorn: announce a body and never send it.
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4096")]})


def expose_connection(app: ASGIApp) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Wrap the application so that `Dropped` can reach the connection behind uvicorn's `send`."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[_SCOPE_KEY] = send
        await app(scope, receive, send)

    return wrapped
