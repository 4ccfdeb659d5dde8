"""What stands around every request, from the outside in: headers, HEAD, metrics, the last words; and what is refused
before a route sees it: posts from other sites' pages, paths that no link of ours has, bodies that are too long."""

import asyncio
import re
import time

import httpx
from fastapi import Request
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer, respond
from api.problems import Problem, order_not_found, unavailable
from api.stopping import Stopping


class _Middleware:
    """Stands `around` every HTTP request, and lets whatever else a server says pass by."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.around if scope["type"] == "http" else self._app)(scope, receive, send)

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError


_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # What may be kept says so itself; an order, a key or a list of orders must not lie in anybody's cache.
    (b"cache-control", b"no-store"),
]
_NOT_A_PAGE = [(b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")]


class SecurityHeaders(_Middleware):
    """What a browser must not do with an answer. Pages bring their own, wider policy (`api.web.rendering`)."""

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                names = {name for name, _ in headers}
                is_page = any(name == b"content-type" and value.startswith(b"text/html") for name, value in headers)
                ours = [*_ALWAYS, *([] if is_page else _NOT_A_PAGE)]
                message["headers"] = [*headers, *(header for header in ours if header[0] not in names)]
            await send(message)

        await self._app(scope, receive, with_headers)


REQUESTS = Counter("checkout_http_requests_total", "HTTP requests", ["method", "route", "status"])
SECONDS = Histogram(
    "checkout_http_request_seconds",
    "Time to the answer's first byte",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


class MetricsMiddleware(_Middleware):
    """Counters and timings for Prometheus, by route template (never by URL: keys and ids must not become labels)."""

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin = time.perf_counter()

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unmatched")
                REQUESTS.labels(scope["method"], route, message["status"]).inc()
                SECONDS.labels(route).observe(time.perf_counter() - begin)
            await send(message)

        await self._app(scope, receive, observed)


class HeadAsGet(_Middleware):
    """HEAD is GET without the body (RFC 9110, 9.3.2), for every route that can be got."""

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                # The end, at once: a stream of events would have none.
                await send({"type": "http.response.body", "body": b""})

        # A copy: the server looks at its own scope to know that no body follows.
        await self._app({**scope, "method": "GET"}, receive, without_body)


class LastWords(_Middleware):
    """Every request gets an answer that says what to do: also one that meets a bug, or the end of the process.

    What a handler promised to say (`api.problems.echo`), a checkout's key for one, is said here too.
    """

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
            response = respond(request, unavailable("The service is being restarted; sending it again is safe."))
        except Exception as error:
            if has_begun:
                raise
            response = await answer(request, error)
        await response(scope, receive, send)


_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


def origin_of(url: str) -> str | None:
    """The address's origin as browsers write it: lower case, names in punycode, no default port (RFC 6454, 6.2)."""
    try:
        parts = httpx.URL(url.lower())
    except (httpx.InvalidURL, ValueError):
        return None
    if not (parts.scheme and parts.raw_host):
        return None
    return f"{parts.scheme}://{parts.netloc.decode()}"


class SameOrigin(_Middleware):
    """Posts from other sites' pages are refused (OWASP, "Cross-Site Request Forgery Prevention").

    Without this, any page could make its visitors reserve our stock. A browser says itself where a request comes from
    (`Sec-Fetch-Site`, W3C Fetch Metadata); where it does not, over plain HTTP for one, the page's `Origin` is compared.
    Programs, like the payment service, send neither and pass.

    `public_url` is where customers reach us; the address the request itself names is ours too. Below `/codec/` it is
    the pages of Temporal's UI that may post.
    """

    def __init__(self, app: ASGIApp, public_url: str, ui_url: str) -> None:
        super().__init__(app)
        self._public, self._ui = origin_of(public_url), origin_of(ui_url)

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in _SAFE:
            request = Request(scope)
            is_wanted = self._is_the_uis if scope["path"].startswith("/codec/") else self._is_ours
            if not is_wanted(request):
                problem = Problem(403, "cross-site", "This may only be sent from our own pages")
                await respond(request, problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_ours(self, request: Request) -> bool:
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        given = request.headers.get("origin")
        if given is None:
            return True
        origin = origin_of(given)
        # Behind a proxy that ends TLS only the page knows its scheme: the request's own address has none.
        named = origin_of(f"{given.partition(':')[0]}://{request.headers.get('host', '')}")
        return origin is not None and origin in (self._public, named)

    def _is_the_uis(self, request: Request) -> bool:
        given = request.headers.get("origin")
        return given is None or origin_of(given) == self._ui


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")


class CleanPaths(_Middleware):
    """Paths that no link of ours has: with control characters, percent-encoded to slip past a route's pattern.

    Starlette matches a path with `$`, before which a line feed may stand, and `.` matches none: `/checkout/a%0a` would
    be another spelling of `/checkout/a`. PostgreSQL's text holds no NUL. So these end here, each as its route would
    refuse it.
    """

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _CONTROL.search(scope["path"]):
            await respond(Request(scope), _problem(scope["path"]))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _problem(path: str) -> Problem:
    if path.startswith("/checkout/"):
        return Problem(400, "invalid-key", "Not a checkout key")
    if path.startswith(("/orders/", "/admin/orders/")):
        return order_not_found()
    return Problem(404, "http-404", "Not Found")


MAX_BODY_BYTES = 64 * 1024
MAX_WEBHOOK_BYTES = 512 * 1024
MAX_CODEC_BYTES = 4 * 1024 * 1024  # Temporal's own limit on one message
_MAX_BYTES_BELOW = {"/payment_webhook": MAX_WEBHOOK_BYTES, "/codec/": MAX_CODEC_BYTES}


class BoundedBodies(_Middleware):
    """No request's body is longer than its route may read.

    FastAPI reads a model's body whole, before it asks who sent it: without this, anybody could fill the memory through
    an operator's endpoint.
    """

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        limit = next((most for begin, most in _MAX_BYTES_BELOW.items() if path.startswith(begin)), MAX_BODY_BYTES)
        declared = Headers(scope=scope).get("content-length", "")
        read = int(declared) if declared.isdigit() and len(declared) < 20 and int(declared) > limit else 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive() if read <= limit else {}
            read += len(message.get("body", b""))
            if read > limit:
                # Where the handler reads, so that the answer says all that the handler's answers say.
                raise HTTPException(413, f"At most {limit} bytes")
            return message

        await self._app(scope, bounded, send)
