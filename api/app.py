"""The gateway's application: routes, and what stands around them. Also for tests, which run it in their own process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.sse import EventSourceResponse
from starlette.exceptions import HTTPException

from api import openapi
from api.gateway import Gateway
from api.middleware.cors import Cors, origin_of
from api.middleware.edge import Edge
from api.middleware.entrance import Entrance
from api.middleware.last_words import LastWords, answer
from api.routes import admin, checkout, machines, shop
from api.waiting import Stopping
from api.web import assets
from api.web.console import actions, processes, sign_in
from api.web.console import pages as console_pages
from api.web.shop import pages as shop_pages
from runtime.connection import BRIEF_RETRIES, connect
from runtime.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """An app that connects when it starts, and starts even while PostgreSQL or Temporal are away (then: 503)."""
    stopping = Stopping()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        temporal = await connect(settings, lazy=True, retries=BRIEF_RETRIES)
        app.state.gateway = Gateway(settings, temporal, stopping)
        async with app.state.gateway.running():
            yield

    app = openapi.DescribedApi(
        title="Reliable checkout",
        version="0.1.0",
        description="Never charged without fulfilment, never charged twice, stock held if and only if it is needed.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # ours: api.openapi
        redoc_url=None,
        # All other errors come to `LastWords`, and so do these: FastAPI would answer them itself.
        exception_handlers={HTTPException: answer, RequestValidationError: answer},
    )
    app.state.settings = settings
    app.state.stopping = stopping
    app.add_middleware(Entrance, public=origin_of(settings.public_url), ui=origin_of(settings.temporal_ui_url))
    app.add_middleware(LastWords, stopping=stopping)
    if settings.payload_keys:
        app.add_middleware(Cors, ui=settings.temporal_ui_url)
    app.add_middleware(Edge)
    # Tried in this order: the shop's pages, for to `/checkout/success` and `/checkout/cancel` the payment service sends
    # customers back; what is asked for most; the rest.
    routers = [shop_pages.router, checkout.router, shop.router, machines.webhook, admin.router, machines.probes]
    routers += [assets.router, openapi.router, console_pages.router, sign_in.router, actions.router]
    if settings.is_development:
        routers.append(processes.router)
    if settings.payload_keys:
        routers.append(machines.codec)
    for router in routers:
        app.include_router(router)
    # Whoever has signed in to the console is told how far an audit is, as machines are.
    app.add_api_route(
        "/admin/console/audit/progress",
        admin.audit_everything,
        dependencies=[Depends(sign_in.signed_in)],
        response_class=EventSourceResponse,
        include_in_schema=False,
    )
    return app
