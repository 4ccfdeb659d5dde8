"""What is refused before a route sees it."""

import re
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from api.middleware import Middleware
from api.middleware.cors import origin_of
from api.problems import Problem
from checkout.errors import InvalidKey, OrderNotFound

MAX_BODY_BYTES = 64 * 1024
MAX_WEBHOOK_BYTES = 512 * 1024
MAX_CODEC_BYTES = 4 * 1024 * 1024  # Temporal's own limit on one message
_MAX_BYTES_BELOW = {"/payment_webhook": MAX_WEBHOOK_BYTES, "/codec/": MAX_CODEC_BYTES}
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")


@dataclass
class Entrance(Middleware):
    """Refuses posts from other sites' pages, paths that no link of ours has, and bodies that are too long."""

    public: str | None  # the origin at which customers reach us; the address the request itself names is ours too
    ui: str | None  # below `/codec/` it is the pages of Temporal's UI that may post

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, headers = scope["path"], Headers(scope=scope)
        if scope["method"] not in _SAFE and not self._is_ours(path, headers):
            raise Problem(403, "cross-site", "This may only be sent from our own pages")
        if _CONTROL.search(path):
            raise _unclean(path)
        limit = next((most for begin, most in _MAX_BYTES_BELOW.items() if path.startswith(begin)), MAX_BODY_BYTES)
        await self.app(scope, _bounded(receive, limit, headers.get("content-length", "")), send)

    def _is_ours(self, path: str, headers: Headers) -> bool:
        """Whether a post comes from our own pages (below `/codec/`: from Temporal's UI), or from no page at all. Any
        other page could make its visitors reserve our stock (OWASP, "Cross-Site Request Forgery Prevention"). A browser
        says itself where a request comes from (`Sec-Fetch-Site`, W3C Fetch Metadata); where it does not, over plain
        HTTP for one, the page's `Origin` is compared. Programs, like the payment service, send neither and pass."""
        given, site = headers.get("origin"), headers.get("sec-fetch-site")
        is_for_ui = path.startswith("/codec/")
        if site is not None and not is_for_ui:
            return site in ("same-origin", "none")
        if given is None:
            return True
        origin = origin_of(given)
        if is_for_ui:
            return origin == self.ui
        # Behind a proxy that ends TLS only the page knows its scheme: the request's own address has none.
        named = origin_of(f"{given.partition(':')[0]}://{headers.get('host', '')}")
        return origin is not None and origin in (self.public, named)


def _unclean(path: str) -> Exception:
    """The error for control characters in a path, percent-encoded to slip past a route's pattern: Starlette matches a
    path with `$`, before which a line feed may stand, and `.` matches none, so `/checkout/a%0a` would be another
    spelling of `/checkout/a`; and PostgreSQL's text holds no NUL. Refused as the path's route would refuse it."""
    if path.startswith("/checkout/"):
        return InvalidKey()
    return OrderNotFound() if path.startswith(("/orders/", "/admin/orders/")) else HTTPException(404)


def _bounded(receive: Receive, limit: int, declared: str) -> Receive:
    """`receive`, with a bound on the body. FastAPI reads a model's body whole, before it asks who sent it: without a
    bound, anybody could fill the memory through an operator's endpoint. It raises where the handler reads, once it has
    said its key (`echo`)."""
    read = int(declared) if declared.isdigit() and len(declared) < 20 and int(declared) > limit else 0

    async def bounded() -> Message:
        nonlocal read
        message = await receive() if read <= limit else {}
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(413, f"At most {limit} bytes")
        return message

    return bounded
