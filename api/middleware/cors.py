"""Origins, and which foreign one may read an answer of ours."""

import httpx
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

# All that Temporal's UI 2.54 sends.
_TEMPORAL_UI_SENDS = ("content-type", "x-namespace", "authorization", "authorization-extras")


def origin_of(url: str) -> str | None:
    """The address's origin as browsers write it: lower case, names in punycode, no default port (RFC 6454, 6.2)."""
    try:
        parts = httpx.URL(url.lower())
    except (httpx.InvalidURL, ValueError):
        return None
    return f"{parts.scheme}://{parts.netloc.decode()}" if parts.scheme and parts.raw_host else None


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
