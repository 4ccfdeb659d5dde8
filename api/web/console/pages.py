"""The console's pages. Each is whole without script; with it, its live part is kept fresh (`live.js`)."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterable
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from api.board import AUDIT_GRACE, SPANS
from api.order_events import LIVE
from api.order_views import OperatorOrder, operator_order
from api.web.console.processes import processes
from api.web.console.sign_in import ConsoleDependency
from api.web.rendering import DEEPEST
from checkout.ids import new_checkout_key, refund_workflow_id, workflow_ids_of_order
from checkout.orders import OrderStatus
from checkout.payments import RefundState, forbids_refund
from db.catalogue import Selection
from db.order_pages import OrderDetail

router = APIRouter(prefix="/admin", include_in_schema=False)

_SESSION_LOOK = 10.0  # seconds that a stream may go on after its session has ended
_PAGE_LENGTH = 25


@router.get("")
async def overview(console: ConsoleDependency, span: str = "hour") -> Response:
    gateway, chosen = console.gateway, SPANS.get(span, SPANS["hour"])
    gateway.board.audit_now_and_then()
    charts, latest = await asyncio.gather(gateway.board.charts(chosen), gateway.orders.page(limit=12))
    return console.page(
        "overview",
        charts=charts,
        stuck=await gateway.board.stuck(),
        latest=latest.orders,
        span=chosen,
        spans=SPANS,
        now=time.time(),
        processes=processes(gateway.settings.data_dir) if gateway.settings.is_development else {},
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
    email, reserved = await gateway.orders.inside(order_id)
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
        workflows=_workflows(row),
        running=await gateway.orders.checkout_status(row.checkout_key),
    )


@router.get("/console/stock")
async def stock(
    console: ConsoleDependency,
    q: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=DEEPEST)] = 1,
) -> Response:
    gateway, search = console.gateway, q.strip()
    selection = Selection(_PAGE_LENGTH, search=search, offset=(page - 1) * _PAGE_LENGTH, sold_only=False)
    shelf = await gateway.shelf(selection)
    levels = await gateway.board.stock([product.sku for product in shelf.products])
    return console.page("stock", levels=levels, search=search, number=page, has_more=shelf.has_more)


@router.get("/console/audit")
async def audit(console: ConsoleDependency) -> Response:
    auditor = console.gateway.auditor
    verdicts = [await auditor.recent(AUDIT_GRACE), auditor.last_of_everything]
    return console.page("audit", verdicts=[verdict for verdict in verdicts if verdict is not None])


@router.get("/console/events", response_class=EventSourceResponse)
async def events(console: ConsoleDependency) -> AsyncIterable[ServerSentEvent]:
    """That something happened to some order: the page then looks for itself."""
    gateway = console.gateway
    yield LIVE
    looked = time.monotonic()
    async for notice in gateway.events.follow():
        if time.monotonic() - looked > _SESSION_LOOK:
            if await gateway.sessions.find(console.request) is None:
                return
            looked = time.monotonic()
        yield ServerSentEvent(event="order", data={"order_id": notice.order_id, "kind": notice.kind})


def _left(order: OperatorOrder) -> Counter[str]:
    """How many of each SKU can still be given back: all but those of refunds that were made, are under way, or have
    failed and are made again."""
    left = Counter({line.sku: line.quantity for line in order.lines})
    for refund in order.refunds:
        if refund.is_taken or refund.state in (RefundState.PENDING, RefundState.SUCCEEDED):
            left.subtract({line.sku: line.quantity for line in refund.lines})
    return left


def _workflows(row: OrderDetail) -> dict[str, str]:
    """Ids of the workflows that the order may have, by kind."""
    checkout, settlement, *_ = workflow_ids_of_order(row.checkout_key, row.id, row.payment_session_id)
    ids = {"Checkout": checkout, "Settlement": settlement}
    return ids | ({"Refund": refund_workflow_id(row.id)} if row.status == OrderStatus.REFUNDED else {})
