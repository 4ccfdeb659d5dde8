"""Headers for every answer: what a browser must not do with it.

Pages bring their own, wider policy (`api.web.rendering`).
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # What may be kept says so itself; an order, a key or a list of orders must not lie in anybody's cache.
    (b"cache-control", b"no-store"),
]
_NOT_A_PAGE = [(b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")]


class SecurityHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                names = {name for name, _ in headers}
                is_page = any(name == b"content-type" and value.startswith(b"text/html") for name, value in headers)
                ours = [*_ALWAYS, *([] if is_page else _NOT_A_PAGE)]
                message["headers"] = [*headers, *(header for header in ours if header[0] not in names)]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
