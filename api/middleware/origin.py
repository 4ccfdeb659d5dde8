"""Posts from other sites' pages are refused (OWASP, "Cross-Site Request Forgery Prevention": verify the origin).

Browsers name the page's origin on every POST; programs, like the payment service, name none and pass. Without
this, any page could make its visitors reserve our stock. Nothing here rests on cookies, but for `/codec`, whose
own rule is stricter (`api.codec_server`).
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import Problem

_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_OWN_RULE = "/codec/"


class SameOrigin:
    """`public_url` is where customers reach us; the address the request itself names is ours too."""

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self._app = app
        self._public = urlsplit(public_url).netloc.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _SAFE and not scope["path"].startswith(_OWN_RULE):
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin is not None and not self._is_ours(origin, headers.get("host", "")):
                problem = Problem(403, "cross-site", "This may only be sent from our own pages")
                await problem.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_ours(self, origin: str, host: str) -> bool:
        try:
            netloc = urlsplit(origin).netloc.lower()
        except ValueError:
            return False
        return bool(netloc) and netloc in (self._public, host.lower())
