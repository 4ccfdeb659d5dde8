"""What stands around every request, a file each, from the outside in: `Edge`, `Cors`, `LastWords`, `Entrance`."""

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass
class Middleware:
    """Calls `around` for every HTTP request; all else that a server says (lifespan) goes straight to the app."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.around if scope["type"] == "http" else self.app)(scope, receive, send)

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError
