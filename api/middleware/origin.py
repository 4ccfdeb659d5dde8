"""Posts from other sites' pages are refused (OWASP, "Cross-Site Request Forgery Prevention": fetch metadata, origin).

Without this, any page could make its visitors reserve our stock. A browser says itself where a request comes from
(`Sec-Fetch-Site`, W3C Fetch Metadata); where it does not, over plain HTTP for one, the page's `Origin` is compared.
Programs, like the payment service, send neither and pass.
"""

import httpx
from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import respond
from api.problems import Problem

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


class SameOrigin:
    """`public_url` is where customers reach us; the address the request itself names is ours too. Below `/codec/` it is
    the pages of Temporal's UI that may post."""

    def __init__(self, app: ASGIApp, public_url: str, ui_url: str) -> None:
        self._app = app
        self._public, self._ui = origin_of(public_url), origin_of(ui_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _SAFE:
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
