"""The composition root: builds the service and its application from settings."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from payment_mock import housekeeping
from payment_mock.database import UNREACHABLE, Database, brief
from payment_mock.domain import errors, wire
from payment_mock.idempotency import Reply
from payment_mock.routes import faults, guide, hosted, stripe
from payment_mock.routes.edge import rendered
from payment_mock.service import Service
from payment_mock.settings import Settings

_SWAGGER_UI = Path(__file__).parent / "static" / "swagger-ui"


def create_app(settings: Settings, on_death: Callable[[], None] = lambda: None) -> FastAPI:
    """The ASGI application. Its lifespan connects, migrates, and runs the outbox and the housekeeping.

    `on_death` is called when that work has ended with an error: without it no event is sent any more.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Database.open(settings) as database:
            app.state.service = service = Service(settings, database)
            background = asyncio.create_task(housekeeping.work(service, on_death))
            try:
                yield
            finally:
                background.cancel()
                await asyncio.gather(background, return_exceptions=True)
                await service.outbox.close()

    own = [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Mount("/docs/static", StaticFiles(directory=_SWAGGER_UI)),
        Route("/docs", docs),
    ]
    app = FastAPI(
        title="Payment service (Stripe simulator)",
        lifespan=lifespan,
        routes=[*stripe.routes, *hosted.routes, *own],
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(guide.router)
    app.include_router(faults.router)
    for known in (errors.StripeError, Reply, ClientDisconnect, *UNREACHABLE):
        app.add_exception_handler(known, rendered)
    app.add_exception_handler(Exception, _fail)
    return app


async def livez(_: Request) -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """Its database takes writes."""
    service: Service = request.app.state.service
    if not service.is_ready:
        return JSONResponse({"status": "starting", "database": "not migrated yet"}, 503)
    try:
        async with asyncio.timeout(2):
            await service.database.check()
    except UNREACHABLE as error:
        return JSONResponse({"status": "unavailable", "database": brief(error)}, 503)
    return JSONResponse({"status": "ok"})


async def docs(request: Request) -> Response:
    """Swagger UI from here: FastAPI's own page loads it from a CDN."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=request.app.title,
        swagger_js_url="/docs/static/swagger-ui-bundle.js",
        swagger_css_url="/docs/static/swagger-ui.css",
        swagger_favicon_url="/payment/static/icon.svg",
    )


async def _fail(_: Request, __: Exception) -> Response:
    """A bug: uvicorn logs the traceback, the client learns nothing of it."""
    return wire.response(errors.api_error(500).body, 500)
