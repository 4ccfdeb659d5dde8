"""What a request handler may need, made once a process (`api.app`) and handed in by FastAPI."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.audit import Auditor
from api.catalogue import Catalogue
from api.checkouts import Checkouts
from api.events import OrderEventHub
from api.limits import Limits
from api.operators import Operators
from api.orders import Orders
from api.sessions import Sessions
from api.stopping import Stopping
from db.writing import WriteWatch
from runtime.settings import Settings


@dataclass(frozen=True)
class Gateway:
    settings: Settings
    engine: AsyncEngine
    auditor: Auditor
    writing: WriteWatch
    temporal: Client
    checkouts: Checkouts
    orders: Orders
    catalogue: Catalogue
    events: OrderEventHub
    limits: Limits
    operators: Operators
    sessions: Sessions
    stopping: Stopping


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


OperatorDependency = Annotated[None, Depends(operator)]
