"""What a request handler may need, put together once a process and handed in by FastAPI."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from temporalio.client import Client

from api.audit import AUDIT_SECONDS, CONNECTIONS, Auditor
from api.board import Board
from api.catalogue import READERS, read_shelf
from api.checkouts import Checkouts
from api.limits import Limits
from api.operator_sessions import Sessions
from api.operators import Operators
from api.order_events import OrderEventHub
from api.orders import Orders
from api.waiting import Shared, Stopping
from db.engine import autocommit, create_engine
from db.writing import WriteWatch
from runtime.background import beside
from runtime.settings import Settings


class Gateway:
    def __init__(self, settings: Settings, temporal: Client, stopping: Stopping) -> None:
        pool = partial(create_engine, settings.database_url.get_secret_value())
        # A customer would rather wait a little in a rush than be told to come again.
        engine = pool(pool_size=settings.database_pool_size, application_name="checkout-gateway", pool_timeout=6.0)
        browsing = pool(pool_size=READERS, application_name="checkout-catalogue")
        auditing = pool(
            pool_size=CONNECTIONS,
            application_name="checkout-audit",
            pool_timeout=AUDIT_SECONDS,
            command_timeout=AUDIT_SECONDS + 5,
        )
        self._engines = (engine, browsing, auditing)
        self.settings, self.temporal, self.engine = settings, temporal, engine
        self.writing = WriteWatch(engine)
        self.events = OrderEventHub(engine)
        self.limits = Limits(settings, engine)
        self.operators = Operators(settings)
        self.sessions = Sessions(settings, engine)
        self.shelf = Shared(partial(read_shelf, autocommit(browsing)))
        self.auditor = Auditor(auditing, temporal)
        self.board = Board(engine, self.auditor)
        self.checkouts = Checkouts(engine, temporal, settings, self.limits, stopping, self.writing)
        self.orders = Orders(engine, temporal, settings, stopping)
        stopping.when_told(self.events.close)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            async with beside(self.writing.watch(), self.events.listen()):
                yield
        finally:
            for engine in self._engines:
                await engine.dispose()


async def _gateway(request: Request) -> Gateway:  # asynchronous: FastAPI sends any other to a thread, each time
    return cast(Gateway, request.app.state.gateway)


GatewayDependency = Annotated[Gateway, Depends(_gateway)]
_bearer = HTTPBearer(auto_error=False, description="The operator token (`checkout up` prints it).")


async def operator(
    request: Request,
    gateway: GatewayDependency,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Raises a `Problem` unless the request carries the operator token."""
    gateway.operators.admit(request, credentials.credentials if credentials else "")
