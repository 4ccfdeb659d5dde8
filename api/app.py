"""The gateway, put together: the one composition root of its process, and of tests that run it in theirs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import codec_server, errors, openapi
from api.audit import AUDIT_SECONDS, CONNECTIONS, Auditor
from api.catalogue import READERS, Catalogue
from api.checkouts import Checkouts
from api.events import OrderEventHub
from api.limits import Limits
from api.middleware import (
    BoundedBodies,
    CleanPaths,
    HeadAsGet,
    LastWords,
    MetricsMiddleware,
    SameOrigin,
    SecurityHeaders,
)
from api.operators import Operators
from api.orders import Orders
from api.routes import admin, catalogue, checkout, orders, probes, products, webhook
from api.sessions import Sessions
from api.state import Gateway
from api.stopping import Stopping
from api.web import api_docs, assets
from api.web.console import setup as console
from api.web.shop import order as order_pages
from api.web.shop import storefront
from db.engine import create_engine
from db.writing import WriteWatch
from runtime.connection import BRIEF_RETRIES, connect
from runtime.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """An app that connects when it starts, and starts even while PostgreSQL or Temporal are away (then: 503)."""
    stopping = Stopping()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_engine(
            settings.database_url.get_secret_value(),
            pool_size=settings.database_pool_size,
            application_name="checkout-gateway",
            # A customer would rather wait a little in a rush than be told to come again.
            pool_timeout=6.0,
        )
        browsing = create_engine(
            settings.database_url.get_secret_value(), pool_size=READERS, application_name="checkout-catalogue"
        )
        auditing = create_engine(
            settings.database_url.get_secret_value(),
            pool_size=CONNECTIONS,
            application_name="checkout-audit",
            pool_timeout=AUDIT_SECONDS,
            command_timeout=AUDIT_SECONDS + 5,
        )
        temporal = await connect(settings, lazy=True, retries=BRIEF_RETRIES)
        try:
            async with WriteWatch(engine) as writing, OrderEventHub(engine) as events:
                stopping.when_told(events.close)
                app.state.gateway = Gateway(
                    settings=settings,
                    engine=engine,
                    auditor=Auditor(auditing, temporal),
                    temporal=temporal,
                    writing=writing,
                    catalogue=Catalogue(browsing),
                    checkouts=Checkouts(engine, temporal, settings, stopping, writing),
                    orders=Orders(engine, temporal, stopping),
                    events=events,
                    limits=Limits(settings, engine),
                    operators=Operators(settings),
                    sessions=Sessions(settings, engine),
                    stopping=stopping,
                )
                yield
        finally:
            await engine.dispose()
            await browsing.dispose()
            await auditing.dispose()

    app = FastAPI(
        title="Reliable checkout",
        version="0.1.0",
        description="Never charged without fulfilment, never charged twice, stock held if and only if it is needed.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # ours: api.web.api_docs
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.stopping = stopping
    app.add_middleware(BoundedBodies)
    app.add_middleware(CleanPaths)
    app.add_middleware(SameOrigin, public_url=settings.public_url, ui_url=settings.temporal_ui_url)
    app.add_middleware(LastWords, stopping=stopping)
    if settings.payload_keys:
        app.add_middleware(codec_server.Cors, ui=settings.temporal_ui_url)
    app.add_middleware(MetricsMiddleware)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(HeadAsGet)
    errors.install(app)
    openapi.install(app)
    # The pages first: to `/checkout/success` and `/checkout/cancel` the payment service sends customers back.
    for router in (storefront.router, order_pages.router, assets.router, api_docs.router):
        app.include_router(router)
    for router in (
        checkout.router,
        catalogue.router,
        orders.router,
        webhook.router,
        admin.router,
        products.router,
        probes.router,
    ):
        app.include_router(router)
    console.install(app, settings)
    if settings.payload_keys:
        app.include_router(codec_server.create_router(settings))
    return app
