"""For operators, with the token: orders and their events, refund, audit."""

from collections.abc import AsyncIterable
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.audit import audit as run_audit
from api.auth import operator
from api.problems import declared
from api.schemas import AuditOut, OrderOut, OrderPage
from api.state import GatewayDependency
from checkout.orders import OrderStatus

router = APIRouter(prefix="/admin", tags=["operator"], dependencies=[Depends(operator)])

_REFUND_PROBLEMS = declared(
    {409: "There is no payment to give back.", 502: "The payment service did not refund; repeating is safe."}
)


@router.get("/orders", response_model=OrderPage)
async def list_orders(
    gateway: GatewayDependency,
    status: OrderStatus | None = None,
    q: Annotated[
        str | None, Query(max_length=254, description="An order, session, key (or its start) or email")
    ] = None,
    after: Annotated[str | None, Query(max_length=200, description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> OrderPage:
    """Orders, newest first."""
    return await gateway.orders.page(status=status, search=q or None, after=after, limit=limit)


@router.post("/orders/{order_id}/refund", response_model=OrderOut, responses=_REFUND_PROBLEMS)
async def refund(order_id: str, gateway: GatewayDependency) -> OrderOut:
    """Give the money of a fulfilled or dispatched order back, once, and take its stock back. Safe to repeat."""
    return await gateway.orders.refund(order_id)


@router.get("/events", response_class=EventSourceResponse)
async def order_events(gateway: GatewayDependency) -> AsyncIterable[ServerSentEvent]:
    """What happens to any order, from now on: `{order_id, seq, kind, at}`, named by its kind."""
    yield ServerSentEvent(comment="live", retry=1000)
    async for notice in gateway.events.follow():
        yield ServerSentEvent(event=notice.kind, data=notice)


@router.get("/audit", response_model=AuditOut)
async def audit(
    gateway: GatewayDependency,
    grace: Annotated[float, Query(ge=0, le=3600, description="Seconds an order must have been left alone")] = 30.0,
) -> AuditOut:
    """Check the invariants over both ledgers, in one snapshot."""
    return await run_audit(gateway.auditing, gateway.temporal, timedelta(seconds=grace))
