"""What stands around every request, from the outside in: `Edge`, `LastWords`, `Entrance`."""

import asyncio
import re
import time

import httpx
from fastapi import Request
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer
from api.problems import Problem, unavailable
from api.waiting import Stopping
from checkout.errors import InvalidKey, OrderNotFound

# What a browser must not do with an answer. Pages bring their own, wider policy (`api.web.rendering`).
_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    # What may be kept says so itself; an order, a key or a list of orders must not lie in anybody's cache.
    "cache-control": "no-store",
}
_NOT_A_PAGE = {"content-security-policy": "default-src 'none'; frame-ancestors 'none'"}
REQUESTS = Counter("checkout_http_requests_total", "HTTP requests", ["method", "route", "status"])
SECONDS = Histogram(
    "checkout_http_request_seconds",
    "Time to the answer's first byte",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


class _Middleware:
    """Stands `around` every HTTP request, and lets whatever else a server says pass by."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.around if scope["type"] == "http" else self._app)(scope, receive, send)

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError


class Edge(_Middleware):
    """Every answer is counted and timed, by route template (never by URL: keys and ids must not become labels), and has
    its headers; HEAD is GET without the body (RFC 9110, 9.3.2), for every route that can be got."""

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        is_head = scope["method"] == "HEAD"
        # A copy: the server looks at its own scope to know that no body follows.
        asked = {**scope, "method": "GET"} if is_head else scope

        async def outwards(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(asked.get("route"), "path", "unmatched")
                REQUESTS.labels(asked["method"], route, message["status"]).inc()
                SECONDS.labels(route).observe(time.perf_counter() - began)
                headers = MutableHeaders(scope=message)
                is_page = headers.get("content-type", "").startswith("text/html")
                for name, value in (_ALWAYS if is_page else _ALWAYS | _NOT_A_PAGE).items():
                    headers.setdefault(name, value)
                await send(message)
                if is_head:  # the end, at once: a stream of events would have none
                    await send({"type": "http.response.body", "body": b""})
            elif not is_head:
                await send(message)

        await self._app(asked, receive, outwards)


class LastWords(_Middleware):
    """Every request gets an answer that says what to do: also one that was refused, that meets a bug, or the end of the
    process. What a handler promised to say (`api.problems.echo`), a checkout's key for one, is said here too."""

    def __init__(self, app: ASGIApp, stopping: Stopping) -> None:
        super().__init__(app)
        self._stopping = stopping

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        request = Request(scope)
        try:
            with self._stopping.handling():
                await self._app(scope, receive, noted)
                return
        except asyncio.CancelledError:
            if has_begun or not self._stopping.is_over:
                raise
            response = await answer(request, unavailable("The service is being restarted; sending it again is safe."))
        except Exception as error:
            if has_begun:
                raise
            response = await answer(request, error)
        await response(scope, receive, send)


MAX_BODY_BYTES = 64 * 1024
MAX_WEBHOOK_BYTES = 512 * 1024
MAX_CODEC_BYTES = 4 * 1024 * 1024  # Temporal's own limit on one message
_MAX_BYTES_BELOW = {"/payment_webhook": MAX_WEBHOOK_BYTES, "/codec/": MAX_CODEC_BYTES}
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")


def origin_of(url: str) -> str | None:
    """The address's origin as browsers write it: lower case, names in punycode, no default port (RFC 6454, 6.2)."""
    try:
        parts = httpx.URL(url.lower())
    except (httpx.InvalidURL, ValueError):
        return None
    return f"{parts.scheme}://{parts.netloc.decode()}" if parts.scheme and parts.raw_host else None


class Entrance(_Middleware):
    """What is refused before a route sees it: posts from other sites' pages, paths that no link of ours has, bodies
    that are too long.

    `public_url` is where customers reach us; the address the request itself names is ours too. Below `/codec/` it is
    the pages of Temporal's UI that may post.
    """

    def __init__(self, app: ASGIApp, public_url: str, ui_url: str) -> None:
        super().__init__(app)
        self._public, self._ui = origin_of(public_url), origin_of(ui_url)

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, headers = scope["path"], Headers(scope=scope)
        if scope["method"] not in _SAFE:
            is_wanted = self._is_the_uis if path.startswith("/codec/") else self._is_ours
            if not is_wanted(headers):
                raise Problem(403, "cross-site", "This may only be sent from our own pages")
        if _CONTROL.search(path):
            raise _unclean(path)
        limit = next((most for begin, most in _MAX_BYTES_BELOW.items() if path.startswith(begin)), MAX_BODY_BYTES)
        await self._app(scope, _bounded(receive, limit, headers.get("content-length", "")), send)

    def _is_ours(self, headers: Headers) -> bool:
        """Any other page could make its visitors reserve our stock (OWASP, "Cross-Site Request Forgery Prevention").

        A browser says itself where a request comes from (`Sec-Fetch-Site`, W3C Fetch Metadata); where it does not, over
        plain HTTP for one, the page's `Origin` is compared. Programs, like the payment service, send neither and pass.
        """
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        given = headers.get("origin")
        if given is None:
            return True
        origin = origin_of(given)
        # Behind a proxy that ends TLS only the page knows its scheme: the request's own address has none.
        named = origin_of(f"{given.partition(':')[0]}://{headers.get('host', '')}")
        return origin is not None and origin in (self._public, named)

    def _is_the_uis(self, headers: Headers) -> bool:
        given = headers.get("origin")
        return given is None or origin_of(given) == self._ui


def _unclean(path: str) -> Exception:
    """Control characters, percent-encoded to slip past a route's pattern: Starlette matches a path with `$`, before
    which a line feed may stand, and `.` matches none, so `/checkout/a%0a` would be another spelling of `/checkout/a`;
    and PostgreSQL's text holds no NUL. Refused as the path's route would refuse it."""
    if path.startswith("/checkout/"):
        return InvalidKey()
    return OrderNotFound() if path.startswith(("/orders/", "/admin/orders/")) else HTTPException(404)


def _bounded(receive: Receive, limit: int, declared: str) -> Receive:
    """FastAPI reads a model's body whole, before it asks who sent it: without a bound, anybody could fill the memory
    through an operator's endpoint. It raises where the handler reads, so that the answer says all that the handler's
    answers say."""
    read = int(declared) if declared.isdigit() and len(declared) < 20 and int(declared) > limit else 0

    async def bounded() -> Message:
        nonlocal read
        message = await receive() if read <= limit else {}
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(413, f"At most {limit} bytes")
        return message

    return bounded
