"""What stands around every request, a file each, from the outside in: `Edge`, `Cors`, `LastWords`, `Entrance`."""

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass
class Middleware:
    """Stands `around` every HTTP request, and lets whatever else a server says pass by."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.around if scope["type"] == "http" else self.app)(scope, receive, send)

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError
