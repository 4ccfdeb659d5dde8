"""The wrong answers a provider, or the network before it, can give."""

from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from payment_mock.domain import wire
from payment_mock.domain.errors import api_error
from payment_mock.faults.rules import Rule
from payment_mock.store.idempotency import Reply

_HUGE = 64 * 1024 * 1024


class FaultReply(Reply):
    """A planted fault takes the place of the reply. `is_sticky`: the idempotency key is to remember it."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(_response(rule))
        self.is_sticky = rule.action == "sticky_error"


def _response(rule: Rule) -> Response:
    match rule.action:
        case "drop":
            return Dropped()
        case "redirect":
            return Response(status_code=302, headers={"location": "http://127.0.0.1:9/elsewhere"})
        case "huge_body":
            return StreamingResponse(_white_space(), media_type="application/json")
        case "broken_body":
            return Response(b'{"id": "cs_test_broken", "object": "checkout.sess', media_type="application/json")
    error = api_error(rule.status or 500)
    is_final = rule.action == "sticky_error"
    headers = {"stripe-should-retry": "false" if is_final else "true"} if error.status >= 500 else {}
    return wire.response(error.body, error.status, headers)


async def _white_space() -> AsyncIterator[bytes]:
    """64 MiB of JSON that says nothing, without a length."""
    chunk = b" " * 65_536
    for _ in range(_HUGE // len(chunk)):
        yield chunk


class Dropped(Response):
    """No answer at all: the connection is cut, as when a process dies or the network goes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["cut"]()  # by `protocol.LimitedHttp`
