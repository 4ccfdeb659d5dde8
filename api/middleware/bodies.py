"""No request's body is longer than its route may read."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 * 1024
MAX_WEBHOOK_BYTES = 512 * 1024
MAX_CODEC_BYTES = 4 * 1024 * 1024  # Temporal's own limit on one message
_MAX_BYTES_BELOW = {"/payment_webhook": MAX_WEBHOOK_BYTES, "/codec/": MAX_CODEC_BYTES}


class BoundedBodies:
    """FastAPI reads a model's body whole, before it asks who sent it: without this, anybody could fill the memory
    through an operator's endpoint."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
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
