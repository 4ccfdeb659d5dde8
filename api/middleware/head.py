"""HEAD is GET without the body (RFC 9110, 9.3.2), for every route that can be got."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                # The end, at once: a stream of events would have none.
                await send({"type": "http.response.body", "body": b""})

        # A copy: the server looks at its own scope to know that no body follows.
        await self._app({**scope, "method": "GET"}, receive, without_body)
