"""The console's pages. Each is whole without script; with it, its live part is kept fresh (`live.js`)."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator
from datetime import timedelta
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import Response
from temporalio.service import RPCError

from api.audit import AuditOut, AuditProgress
from api.order_views import operator_order
from api.schemas import OperatorOrder
from api.state import Gateway, GatewayDependency
from api.web.console import processes
from api.web.console.board import AUDIT_GRACE, SPANS, STUCK_GRACE, Boards
from api.web.console.session import ConsoleDependency, SessionDependency
from api.web.rendering import DEEPEST
from checkout.ids import new_checkout_key, refund_workflow_id, settlement_workflow_id
from checkout.money import RefundState, forbids_refund
from checkout.orders import OrderStatus
from db import insights, views
from worker.keepers import describe, status_name

router = APIRouter(prefix="/admin", include_in_schema=False)

_SESSION_LOOK = 10.0  # seconds that a stream may go on after its session has ended
_PAGE_LENGTH = 25


@router.get("")
async def overview(console: ConsoleDependency, span: str = "hour") -> Response:
    gateway, boards = console.gateway, console.request.app.state.boards
    assert isinstance(boards, Boards)
    boards.audit_now_and_then(gateway)
    chosen = SPANS.get(span, SPANS["hour"])
    charts, latest = await asyncio.gather(boards.charts(gateway, chosen), gateway.orders.page(limit=12))
    async with gateway.engine.connect() as connection:
        stuck = await insights.stuck_orders(connection, STUCK_GRACE)
    return console.page(
        "overview",
        boards=boards,
        charts=charts,
        stuck=stuck,
        latest=latest.orders,
        span=chosen,
        spans=SPANS,
        processes=processes.processes(gateway.settings.data_dir) if gateway.settings.is_development else [],
    )


@router.get("/console/orders")
async def orders(
    console: ConsoleDependency,
    status: str = "",
    q: Annotated[str, Query(max_length=254)] = "",
    after: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    wanted, search = OrderStatus(status) if status in set(OrderStatus) else None, q.strip() or None
    found = await console.gateway.orders.page(status=wanted, search=search, after=after or None, limit=_PAGE_LENGTH)
    return console.page("orders", found=found, status=status, q=q, after=after, statuses=list(OrderStatus))


@router.get("/console/orders/{order_id}")
async def order(order_id: str, console: ConsoleDependency) -> Response:
    gateway = console.gateway
    row = await gateway.orders.detail(order_id)
    async with gateway.engine.connect() as connection:
        email, reserved = await insights.order_inside(connection, order_id)
    seen = operator_order(row)
    return console.page(
        "order",
        order=seen,
        left=_left(seen),
        is_disputed=any(forbids_refund(dispute.state) for dispute in seen.disputes),
        key=new_checkout_key(),  # of the next refund: a double click sends the same one
        row=row,
        email=email,
        reserved=reserved,
        workflows=_workflows(gateway, row),
        running=await _run_status(gateway, row.checkout_key),
    )


@router.get("/console/stock")
async def stock(
    console: ConsoleDependency,
    q: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=DEEPEST)] = 1,
) -> Response:
    gateway, search = console.gateway, q.strip()
    shelf = await gateway.catalogue.shelf(
        search=search or None, offset=(page - 1) * _PAGE_LENGTH, limit=_PAGE_LENGTH, sold_only=False
    )
    async with gateway.engine.connect() as connection:
        levels = await insights.stock_levels(connection, [product.sku for product in shelf.products])
    return console.page("stock", levels=levels, search=search, number=page, has_more=shelf.has_more)


@router.get("/console/audit")
async def audit(console: ConsoleDependency) -> Response:
    auditor = console.gateway.auditor
    verdicts = [await auditor.recent(AUDIT_GRACE), auditor.last_of_everything]
    return console.page("audit", verdicts=[verdict for verdict in verdicts if verdict is not None])


async def _begun(session: SessionDependency, gateway: GatewayDependency) -> AsyncIterator[AuditProgress | AuditOut]:
    return await gateway.auditor.begin(AUDIT_GRACE)


@router.get("/console/audit/progress", response_class=EventSourceResponse)
async def audit_everything(
    steps: Annotated[AsyncIterator[AuditProgress | AuditOut], Depends(_begun)],
) -> AsyncIterable[ServerSentEvent]:
    """How far an audit of everything is that begins now; the page has its verdict then."""
    async for step in steps:
        is_over = isinstance(step, AuditOut)
        yield ServerSentEvent(event="verdict" if is_over else "progress", data={} if is_over else step)


@router.get("/console/events", response_class=EventSourceResponse)
async def events(console: ConsoleDependency) -> AsyncIterable[ServerSentEvent]:
    """That something happened to some order: the page then looks for itself."""
    gateway = console.gateway
    yield ServerSentEvent(comment="live", retry=1000)
    looked = time.monotonic()
    async for notice in gateway.events.follow():
        if time.monotonic() - looked > _SESSION_LOOK:
            if await gateway.sessions.find(console.request) is None:
                return
            looked = time.monotonic()
        yield ServerSentEvent(event="order", data={"order_id": notice.order_id, "kind": notice.kind})


def _left(order: OperatorOrder) -> dict[str, int]:
    """How many of each line can still be given back. What was given back counts, also while a refund that failed is
    made again."""
    left = {line.sku: line.quantity for line in order.lines}
    for refund in order.refunds:
        if refund.is_taken or refund.state in (RefundState.PENDING, RefundState.SUCCEEDED):
            for line in refund.lines:
                left[line.sku] -= line.quantity
    return left


def _workflows(gateway: Gateway, row: views.OrderDetail) -> dict[str, str]:
    """The address in Temporal's UI of each workflow the order may have."""
    ids = {"Checkout": row.checkout_key, "Settlement": settlement_workflow_id(row.payment_session_id or row.id)}
    if row.status == OrderStatus.REFUNDED:
        ids["Refund"] = refund_workflow_id(row.id)
    base = f"{gateway.settings.temporal_ui_url}/namespaces/{quote(gateway.temporal.namespace, safe='')}/workflows"
    return {name: f"{base}/{quote(workflow_id, safe='')}" for name, workflow_id in ids.items()}


async def _run_status(gateway: Gateway, checkout_key: str) -> str:
    try:
        found = await describe(gateway.temporal, checkout_key, timedelta(seconds=1))
    except (RPCError, RuntimeError):
        return "Temporal does not answer"
    return status_name(found) if found is not None else "unknown to Temporal"
