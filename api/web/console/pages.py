"""The console's pages. Each is whole without script; with it, its live part is kept fresh (`live.js`)."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import RedirectResponse, Response
from temporalio.service import RPCError

from api.audit import AuditOut, AuditProgress
from api.order_views import operator_order
from api.problems import Problem
from api.schemas import OperatorOrder
from api.state import Gateway, GatewayDependency
from api.web.console import charts, processes
from api.web.console.board import AUDIT_GRACE, Boards
from api.web.console.session import FormDependency, SessionDependency
from api.web.rendering import DEEPEST, Pager, posted_fields
from api.web.rendering import page as render
from api.web.shop.story import tell
from checkout.errors import OrderNotFound
from checkout.ids import new_checkout_key, refund_workflow_id, settlement_workflow_id
from checkout.money import RefundState, forbids_refund
from checkout.orders import OrderStatus
from db import insights, views
from worker.keepers import describe, status_name

router = APIRouter(include_in_schema=False)

_SESSION_LOOK = 10.0  # seconds that a stream may go on after its session has ended
_PAGE_LENGTH = 25
_SEE_OTHER = 303
_PRIVATE = {"Cache-Control": "no-store"}
_DONE = {
    "refunded": ("good", "The money was given back."),
    "refunding": (
        "wait",
        "The payment service has taken the refund; it is on its way, and shows here when it is done.",
    ),
    "settling": ("", "The payment service is being asked; what it says shows here at once."),
    "resent": ("good", "The payment service's last event was taken again."),
    "no-event": ("wait", "The payment service has no event about this order."),
    "restocked": ("good", "The stock was added."),
    "written-off": ("good", "The goods were written off."),
    "withdrawn": ("good", "The product is no longer sold. Orders that have it are untouched."),
    "offered": ("good", "The product is sold again."),
}


@router.get("/admin")
async def overview(
    request: Request, session: SessionDependency, gateway: GatewayDependency, span: str = "hour"
) -> Response:
    boards: Boards = request.app.state.boards
    chosen = charts.SPANS.get(span, charts.SPANS["hour"])
    board, latest = await asyncio.gather(boards.read(gateway, chosen), gateway.orders.page(limit=12))
    return _page(
        "console/overview.html",
        request,
        gateway,
        board=board,
        latest=latest.orders,
        span=chosen,
        spans=charts.SPANS,
        outcomes=charts.OUTCOMES,
        processes=processes.processes(gateway.settings.data_dir) if gateway.settings.is_development else [],
    )


@router.get("/admin/console/orders")
async def orders(
    request: Request,
    session: SessionDependency,
    gateway: GatewayDependency,
    status: str = "",
    q: Annotated[str, Query(max_length=254)] = "",
    after: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    wanted = OrderStatus(status) if status in set(OrderStatus) else None
    found = await gateway.orders.page(status=wanted, search=q.strip() or None, after=after or None, limit=_PAGE_LENGTH)
    older = urlencode({"status": status, "q": q, "after": found.next}) if found.next else None
    return _page(
        "console/orders.html",
        request,
        gateway,
        orders=found.orders,
        older=older,
        wanted=wanted,
        q=q,
        is_first=not after,
        statuses=list(OrderStatus),
    )


@router.get("/admin/console/orders/{order_id}")
async def order(order_id: str, request: Request, session: SessionDependency, gateway: GatewayDependency) -> Response:
    async with gateway.engine.connect() as connection:
        row = await views.order_detail(connection, order_id)
        email, reserved = await insights.order_inside(connection, order_id)
    if row is None:
        raise OrderNotFound
    seen = operator_order(row)
    return _page(
        "console/order.html",
        request,
        gateway,
        order=seen,
        story=tell(seen),
        left=_left(seen),
        is_disputed=any(forbids_refund(dispute.state) for dispute in seen.disputes),
        key=new_checkout_key(),  # of the next refund: a double click sends the same one
        email=email,
        payment_intent_id=row.payment_intent_id,
        reserved=reserved,
        checkout_key=row.checkout_key,
        workflows=_workflows(gateway, row),
        running=await _run_status(gateway, row.checkout_key),
    )


@router.get("/admin/console/stock")
async def stock(
    request: Request,
    session: SessionDependency,
    gateway: GatewayDependency,
    q: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=DEEPEST)] = 1,
) -> Response:
    search = q.strip()
    shelf = await gateway.catalogue.shelf(
        search=search or None, offset=(page - 1) * _PAGE_LENGTH, limit=_PAGE_LENGTH, sold_only=False
    )
    async with gateway.engine.connect() as connection:
        levels = await insights.stock_levels(connection, [product.sku for product in shelf.products])
    pager = Pager("/admin/console/stock", page, shelf.has_more, search)
    return _page("console/stock.html", request, gateway, levels=levels, pager=pager)


@router.get("/admin/console/audit")
async def audit(request: Request, session: SessionDependency, gateway: GatewayDependency) -> Response:
    verdict = await gateway.auditor.recent(AUDIT_GRACE)
    everything = gateway.auditor.last_of_everything
    return _page("console/audit.html", request, gateway, verdicts=[verdict] + ([everything] if everything else []))


async def _begun(session: SessionDependency, gateway: GatewayDependency) -> AsyncIterator[AuditProgress | AuditOut]:
    return await gateway.auditor.begin(AUDIT_GRACE)


@router.get("/admin/console/audit/progress", response_class=EventSourceResponse)
async def audit_everything(
    steps: Annotated[AsyncIterator[AuditProgress | AuditOut], Depends(_begun)],
) -> AsyncIterable[ServerSentEvent]:
    """How far an audit of everything is that begins now; the page has its verdict then."""
    async for step in steps:
        is_over = isinstance(step, AuditOut)
        yield ServerSentEvent(event="verdict" if is_over else "progress", data={} if is_over else step)


@router.get("/admin/console/events", response_class=EventSourceResponse)
async def events(
    request: Request, session: SessionDependency, gateway: GatewayDependency
) -> AsyncIterable[ServerSentEvent]:
    """That something happened to some order: the page then looks for itself."""
    yield ServerSentEvent(comment="live", retry=1000)
    looked = time.monotonic()
    async for notice in gateway.events.follow():
        if time.monotonic() - looked > _SESSION_LOOK:
            if await gateway.sessions.find(request) is None:
                return
            looked = time.monotonic()
        yield ServerSentEvent(event="order", data={"order_id": notice.order_id, "kind": notice.kind})


@router.get("/admin/login")
async def sign_in_page(request: Request, gateway: GatewayDependency, next: str = "") -> Response:
    if await gateway.sessions.find(request) is not None:
        return RedirectResponse(_inside(next), _SEE_OTHER)
    return _sign_in(gateway, next)


@router.post("/admin/login")
async def sign_in(request: Request, gateway: GatewayDependency) -> Response:
    fields = await posted_fields(request)
    target = _inside(fields.get("next", ""))
    try:
        gateway.operators.admit(request, fields.get("token", "").strip())
    except Problem as problem:
        if problem.status != 401:
            raise
        return _sign_in(gateway, target, 401)
    response = RedirectResponse(target, _SEE_OTHER)
    gateway.sessions.open(response)
    return response


@router.post("/admin/logout")
async def sign_out(form: FormDependency, gateway: GatewayDependency) -> Response:
    response = RedirectResponse("/admin/login", _SEE_OTHER)
    await gateway.sessions.end(form.session, response)
    return response


def _sign_in(gateway: Gateway, target: str, status: int = 200) -> Response:
    hint = str(gateway.settings.data_dir / "stack.json") if gateway.settings.is_development else None
    return render(
        "console/sign_in.html", status, headers=_PRIVATE, next=_inside(target), failed=status != 200, hint=hint
    )


def _page(template: str, request: Request, gateway: Gateway, **values: Any) -> Response:
    tone, notice = _DONE.get(request.query_params.get("done", ""), ("", ""))
    return render(
        template,
        headers=_PRIVATE,
        csrf=request.state.session.csrf,
        notice=notice,
        tone=tone,
        path=request.url.path,
        is_development=gateway.settings.is_development,
        temporal_ui=gateway.settings.temporal_ui_url,
        **values,
    )


@dataclass(frozen=True)
class _Left:
    """What can still be given back: minor units, and how many of each line."""

    amount: int
    lines: dict[str, int]


def _left(order: OperatorOrder) -> _Left:
    """Nothing of an order that has no payment. What was given back of the lines counts, also while a refund that failed
    is made again."""
    lines = {line.sku: line.quantity for line in order.lines}
    for refund in order.refunds:
        if refund.is_taken or refund.state in (RefundState.PENDING, RefundState.SUCCEEDED):
            for line in refund.lines:
                lines[line.sku] -= line.quantity
    return _Left(order.payment.kept - order.payment.refund_pending, lines)


def _inside(target: str) -> str:
    """Only ever into the console, whatever the address says."""
    return target if target == "/admin" or target.startswith(("/admin?", "/admin/console/")) else "/admin"


def _workflows(gateway: Gateway, row: views.OrderDetail) -> list[tuple[str, str]]:
    """`(what it is, address in Temporal's UI)` of each workflow the order may have."""
    ids = {"Checkout": row.checkout_key, "Settlement": settlement_workflow_id(row.payment_session_id or row.id)}
    if row.status == OrderStatus.REFUNDED:
        ids["Refund"] = refund_workflow_id(row.id)
    base = f"{gateway.settings.temporal_ui_url}/namespaces/{quote(gateway.temporal.namespace, safe='')}/workflows"
    return [(name, f"{base}/{quote(workflow_id, safe='')}") for name, workflow_id in ids.items()]


async def _run_status(gateway: Gateway, checkout_key: str) -> str:
    try:
        found = await describe(gateway.temporal, checkout_key, timedelta(seconds=1))
    except (RPCError, RuntimeError):
        return "Temporal does not answer"
    return status_name(found) if found is not None else "unknown to Temporal"
