"""Put the console into the gateway."""

from urllib.parse import quote

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

from api.web.console import actions, pages
from api.web.console.board import Boards
from api.web.console.session import NotSignedIn
from runtime.settings import Settings


def install(app: FastAPI, settings: Settings) -> None:
    app.state.boards = Boards()
    app.include_router(pages.router)
    app.include_router(actions.router)
    if settings.is_development:
        app.include_router(actions.development_router())

    @app.exception_handler(NotSignedIn)
    async def to_sign_in(request: Request, _: NotSignedIn) -> Response:
        """A page that was asked for is shown after signing in; a post is not repeated."""
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        target = f"?next={quote(wanted)}" if request.method == "GET" else ""
        return RedirectResponse(f"/admin/login{target}", 303)
