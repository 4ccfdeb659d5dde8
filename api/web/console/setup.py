"""Put the console into the gateway."""

from fastapi import FastAPI

from api.web.console import actions, pages, session
from api.web.console.board import Boards
from runtime.settings import Settings


def install(app: FastAPI, settings: Settings) -> None:
    app.state.boards = Boards()
    for router in (pages.router, session.router, actions.router):
        app.include_router(router)
    if settings.is_development:
        app.include_router(actions.development)
    app.add_exception_handler(session.NotSignedIn, session.to_sign_in)
