"""The composition root: builds the service and its application from settings."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from fastapi_offline import FastAPIOffline
from sqlalchemy.exc import DBAPIError
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from payment_mock import housekeeping
from payment_mock.database import Database
from payment_mock.domain import errors, wire
from payment_mock.faults.plane import Faults
from payment_mock.faults.replies import FaultReply
from payment_mock.http import rendered
from payment_mock.outbox.deliverer import Outbox
from payment_mock.provider import Declined
from payment_mock.routes import faults as faults_routes
from payment_mock.routes import guide, hosted, probes, stripe
from payment_mock.service import Service
from payment_mock.settings import Settings

log = logging.getLogger(__name__)


def create_app(settings: Settings, on_death: Callable[[], None] = lambda: None) -> FastAPI:
    """The ASGI application. Its lifespan connects, migrates, and runs the outbox and the housekeeping.

    `on_death` is called when that work has ended with an error: without it no event is sent any more.
    """
    app = FastAPIOffline(  # Swagger UI from the package, not from a CDN
        title="Payment service (Stripe simulator)",
        lifespan=_lifespan,
        routes=[*stripe.routes, *hosted.routes, *probes.routes],
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.on_death = on_death
    app.include_router(guide.router)
    app.include_router(faults_routes.router)
    for known in (errors.StripeError, Declined, FaultReply, ClientDisconnect, DBAPIError):
        app.add_exception_handler(known, _render)
    app.add_exception_handler(Exception, _render)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    database = Database(settings)
    faults = Faults(database)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=settings.webhook_concurrency)
    # The bare transport: an event needs no cookies, no redirects and no proxy from the environment, and httpx's client
    # around it would cost half as much again.
    async with httpx.AsyncHTTPTransport(limits=limits, trust_env=False) as transport:
        outbox = Outbox(settings, database, faults, transport)
        app.state.service = Service(settings, database, faults, outbox)
        background = asyncio.create_task(_background(app.state.service, app.state.on_death))
        try:
            yield
        finally:
            background.cancel()
            await asyncio.gather(background, return_exceptions=True)
            await outbox.close()
            await database.close()


async def _background(service: Service, on_death: Callable[[], None]) -> None:
    """Become ready, then work. Meanwhile the port answers: `/livez` 200, the rest 503 until the database is there."""
    try:
        await service.database.prepare()
        await service.faults.refresh(force=True)
        log.info("Payment service ready on %s", service.settings.public_url)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(service.outbox.run())
            tasks.create_task(housekeeping.run(service))
    except asyncio.CancelledError:
        raise
    except BaseException:
        log.exception("The payment service's background work died; leaving, so that the supervisor restarts it")
        on_death()
        raise


async def _render(_: Request, error: Exception) -> Response:
    """Errors of the routes that are not Stripe's, in Stripe's error objects."""
    if (known := rendered(error)) is not None:
        return known
    if isinstance(error, DBAPIError):
        raise error
    # A bug: uvicorn logs the traceback, the client learns nothing of it.
    return Response(wire.encode(errors.api_error(500).body), 500, media_type="application/json")
