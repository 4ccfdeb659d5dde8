"""Every error becomes an answer here."""

from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.middleware import Middleware
from api.problems import problem_of, unavailable
from api.waiting import Stopping
from api.web.rendering import problem_page, wants_page


async def answer(request: Request, error: Exception) -> Response:
    """What went wrong, in the form that was asked for: JSON for programs, a page for people."""
    problem = problem_of(request, error)
    return problem_page(request, problem) if wants_page(request) else problem.response()


@dataclass
class LastWords(Middleware):
    """Answers whatever the rest of the gateway raises, so that every request gets an answer that says what to do: one
    that was refused, one that meets a bug, and one that runs out of time because the process stops."""

    stopping: Stopping

    async def around(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            async with self.stopping.handling() as limit:
                await self.app(scope, receive, noted)
        except Exception as error:
            if has_begun:
                raise
            restart = unavailable("The service is being restarted; sending it again is safe.")
            response = await answer(Request(scope), restart if limit.expired() else error)
            await response(scope, receive, send)
