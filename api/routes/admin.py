"""For operators, with the token: orders and their events, restock, refund, audit."""

import base64
import binascii
from collections.abc import AsyncIterable
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from temporalio.client import WorkflowFailureError

from api.audit import audit as run_audit
from api.auth import operator
from api.order_views import order_out
from api.problems import Problem, declared, invalid
from api.schemas import AuditOut, OrderOut, OrderPage, OrderSummary, RestockAnswer, RestockRequest
from api.state import Gateway, GatewayDependency
from checkout.contracts import RefundOrderInput
from checkout.errors import OrderNotFound
from checkout.orders import OrderStatus
from db import inventory, order_queries, views
from db.engine import transaction
from runtime.boundaries import Step
from runtime.failpoints import around
from worker.starting import RefundHandle, Starter

router = APIRouter(prefix="/admin", tags=["operator"], dependencies=[Depends(operator)])

_REFUND_WAIT = timedelta(seconds=10)
_REFUND_PROBLEMS = declared(
    {409: "There is no payment to give back.", 502: "The payment service did not refund; repeating is safe."}
)


@router.post("/restock", response_model=RestockAnswer)
async def restock(request: RestockRequest, gateway: GatewayDependency) -> RestockAnswer:
    """Add to the stock of a product."""
    async with transaction(gateway.engine, Step.RESTOCK) as connection:
        available = await inventory.restock(connection, request.sku, request.quantity)
    return RestockAnswer(sku=request.sku, available=available)


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
    async with gateway.engine.connect() as connection:
        rows = await views.order_page(
            connection, status=status, search=q or None, before=_decode(after) if after else None, limit=limit + 1
        )
    page = [
        OrderSummary(
            order_id=row.id,
            checkout_key=row.checkout_key,
            status=row.status,
            reason=row.reason,
            amount_total=row.amount_total,
            currency=row.currency,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        for row in rows[:limit]
    ]
    has_more = len(rows) > limit
    return OrderPage(orders=page, next=_encode(page[-1].created_at, page[-1].order_id) if has_more else None)


@router.post("/orders/{order_id}/refund", response_model=OrderOut, responses=_REFUND_PROBLEMS)
async def refund(order_id: str, gateway: GatewayDependency) -> OrderOut:
    """Give the money of a fulfilled or dispatched order back, once, and take its stock back. Safe to repeat."""
    async with gateway.engine.connect() as connection:
        order = await order_queries.get_order(connection, order_id)
    if order.status.is_kept:
        handle = await _start_refund(gateway, order_id)
        try:
            await handle.result(rpc_timeout=_REFUND_WAIT)
        except WorkflowFailureError as error:
            raise Problem(502, "refund-failed", "The payment service did not refund", str(error.cause)) from None
    elif order.status is not OrderStatus.REFUNDED:
        raise Problem(409, "not-refundable", "There is no payment to give back", f"The order is {order.status}.")
    async with gateway.engine.connect() as connection:
        row = await views.order_detail(connection, order_id)
    if row is None:
        raise OrderNotFound
    return order_out(row)


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


@around(Step.START_REFUND)
async def _start_refund(gateway: Gateway, order_id: str) -> RefundHandle:
    return await Starter(gateway.temporal).refund(RefundOrderInput(order_id))


def _encode(at: datetime, order_id: str) -> str:
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{order_id}".encode()).decode()


def _decode(cursor: str) -> tuple[datetime, str]:
    try:
        at, _, order_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError
    except (ValueError, binascii.Error):
        raise invalid([{"field": "after", "message": "not a cursor of ours"}]) from None
    return moment, order_id
