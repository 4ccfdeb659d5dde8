"""What stands around every request, from the outside in: `Edge`, `Cors`, `LastWords`, `Entrance`."""

import re
import time
from dataclasses import dataclass

import httpx
from fastapi import Request
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, echoed, problem_of, unavailable
from api.waiting import Stopping
from api.web.rendering import problem_page, wants_page
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


async def answer(request: Request, error: Exception) -> Response:
    """What went wrong, in the form that was asked for: JSON for programs, a page for people."""
    problem = problem_of(request, error)
    return problem_page(request, problem) if wants_page(request) else problem.response()


@dataclass
class _Middleware:
    """Stands `around` every HTTP request, and lets whatever else a server says pass by."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.around if scope["type"] == "http" else self.app)(scope, receive, send)

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError


class Edge(_Middleware):
    """Every answer is counted and timed, by route template (never by URL: keys and ids must not become labels), and has
    its headers, with what the handler promised to say (`api.problems.echo`); HEAD is GET without the body (RFC 9110,
    9.3.2), for every route that can be got."""

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
                headers.update(echoed(asked))
                is_page = headers.get("content-type", "").startswith("text/html")
                for name, value in (_ALWAYS if is_page else _ALWAYS | _NOT_A_PAGE).items():
                    headers.setdefault(name, value)
                await send(message)
                if is_head:  # the end, at once: a stream of events would have none
                    await send({"type": "http.response.body", "body": b""})
            elif not is_head:
                await send(message)

        await self.app(asked, receive, outwards)


@dataclass
class LastWords(_Middleware):
    """Every request gets an answer that says what to do: also one that was refused, that meets a bug, or the end of the
    process."""

    stopping: Stopping

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            async with self.stopping.handling() as limit:
                await self.app(scope, receive, noted)
        except Exception as error:
            if has_begun:
                raise
            restart = unavailable("The service is being restarted; sending it again is safe.")
            response = await answer(Request(scope), restart if limit.expired() else error)
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


# All that Temporal's UI 2.54 sends.
_TEMPORAL_UI_SENDS = ("content-type", "x-namespace", "authorization", "authorization-extras")


class Cors(CORSMiddleware):
    """Only pages of Temporal's UI may read an answer of the codec (`api.routes.machines`), and no other answer."""

    def __init__(self, app: ASGIApp, ui: str) -> None:
        super().__init__(
            app,
            allow_origins=[origin_of(ui) or ""],
            allow_credentials=True,
            allow_methods=["POST"],
            allow_headers=_TEMPORAL_UI_SENDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_readable = scope["type"] == "http" and scope["path"] == "/codec/decode"
        await (super().__call__ if is_readable else self.app)(scope, receive, send)


@dataclass
class Entrance(_Middleware):
    """What is refused before a route sees it: posts from other sites' pages, paths that no link of ours has, bodies
    that are too long."""

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
        """Any other page could make its visitors reserve our stock (OWASP, "Cross-Site Request Forgery Prevention"). A
        browser says itself where a request comes from (`Sec-Fetch-Site`, W3C Fetch Metadata); where it does not, over
        plain HTTP for one, the page's `Origin` is compared. Programs, like the payment service, send neither and
        pass."""
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
    """Control characters, percent-encoded to slip past a route's pattern: Starlette matches a path with `$`, before
    which a line feed may stand, and `.` matches none, so `/checkout/a%0a` would be another spelling of `/checkout/a`;
    and PostgreSQL's text holds no NUL. Refused as the path's route would refuse it."""
    if path.startswith("/checkout/"):
        return InvalidKey()
    return OrderNotFound() if path.startswith(("/orders/", "/admin/orders/")) else HTTPException(404)


def _bounded(receive: Receive, limit: int, declared: str) -> Receive:
    """FastAPI reads a model's body whole, before it asks who sent it: without a bound, anybody could fill the memory
    through an operator's endpoint. It raises where the handler reads, once it has said its key (`echo`)."""
    read = int(declared) if declared.isdigit() and len(declared) < 20 and int(declared) > limit else 0

    async def bounded() -> Message:
        nonlocal read
        message = await receive() if read <= limit else {}
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(413, f"At most {limit} bytes")
        return message

    return bounded
