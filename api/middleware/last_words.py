"""Every request gets an answer that says what to do: also one that meets a bug, or the end of the process."""

import asyncio

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer, respond
from api.problems import unavailable
from api.stopping import Stopping


class LastWords:
    """What a handler promised to say (`api.problems.echo`), a checkout's key for one, is said here too."""

    def __init__(self, app: ASGIApp, stopping: Stopping) -> None:
        self._app, self._stopping = app, stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        request = Request(scope)
        try:
            with self._stopping.handling():
                await self._app(scope, receive, noted)
                return
        except asyncio.CancelledError:
            if has_begun or not self._stopping.is_over:
                raise
            response = respond(request, unavailable("The service is being restarted; sending it again is safe."))
        except Exception as error:
            if has_begun:
                raise
            response = await answer(request, error)
        await response(scope, receive, send)
