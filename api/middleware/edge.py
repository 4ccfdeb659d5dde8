"""The outermost: what is counted, and the headers that every answer has."""

import time

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from api.metrics import REQUEST_SECONDS, REQUESTS
from api.middleware import Middleware
from api.problems import echoed

# What a browser must not do with an answer. Pages bring their own, wider policy (`api.web.rendering`).
_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    # What may be kept says so itself; an order, a key or a list of orders must not lie in anybody's cache.
    "cache-control": "no-store",
}
_NOT_A_PAGE = {"content-security-policy": "default-src 'none'; frame-ancestors 'none'"}


class Edge(Middleware):
    """Counts and times every answer, and gives it the headers above and those that its handler has promised
    (`api.problems.echo`). HEAD is GET without the body (RFC 9110, 9.3.2), on every route that has a GET."""

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        is_head = scope["method"] == "HEAD"
        # A copy: the server looks at its own scope to know that no body follows.
        asked = {**scope, "method": "GET"} if is_head else scope

        async def outwards(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(asked.get("route"), "path", "unmatched")
                REQUESTS.labels(asked["method"], route, message["status"]).inc()
                REQUEST_SECONDS.labels(route).observe(time.perf_counter() - began)
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
