"""For operators, with the token: orders, refund, audit; what is sold, at what price, and how much of it there is."""

from collections.abc import AsyncIterable, AsyncIterator
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api import catalogue
from api.audit import AuditOut, AuditSteps
from api.carts import key_of
from api.catalogue import Available, ProductIn, Restock, Sku, WriteOff
from api.gateway import GatewayDependency, operator
from api.openapi import declared
from api.order_events import LIVE
from api.order_views import OperatorOrder, RefundAnswer, operator_order
from api.orders import OrderPage
from api.refund_requests import RefundIn
from checkout.orders import OrderStatus
from db.catalogue import Product

router = APIRouter(prefix="/admin", tags=["operator"], dependencies=[Depends(operator)])

_REFUND_PROBLEMS = declared(
    {
        400: "A part without an `Idempotency-Key`, or what can be none.",
        409: "There is no payment to give back, or not so much of it, or it is disputed; more goods than were bought.",
        422: "A field is wrong, or the key belongs to another refund.",
        502: "The payment service did not refund; repeating is safe.",
        503: "The refund is under way, or PostgreSQL or Temporal is away; repeating is safe.",
    }
)
_AUDIT_PROBLEMS = declared({409: "Everything is being audited already."})
_Sku = Annotated[Sku, Path()]
_Grace = Annotated[float, Query(ge=0, le=3600, description="Seconds an order must have been left alone")]


@router.get("/orders")
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


@router.get("/orders/{order_id}")
async def order(order_id: str, gateway: GatewayDependency) -> OperatorOrder:
    """An order with all that is known of its money: every attempt of a refund, disputes and until when to answer."""
    return operator_order(await gateway.orders.detail(order_id))


@router.post("/orders/{order_id}/refund", responses=_REFUND_PROBLEMS)
async def refund(
    order_id: str,
    request: Request,
    gateway: GatewayDependency,
    asked: RefundIn | None = None,
    idempotency_key: Annotated[
        str | None, Header(description="Stands for this one refund; a part cannot be had without")
    ] = None,
) -> RefundAnswer:
    """Give money of a fulfilled or dispatched order back, once for a key: without a body all that is left, and never
    more than was paid. It is answered once the payment service has taken it: `refund.state` is `pending` while it is on
    its way, and the order's timeline tells what became of it."""
    return await gateway.orders.refund(order_id, asked or RefundIn(), key_of(request))


@router.get("/events", response_class=EventSourceResponse)
async def order_events(gateway: GatewayDependency) -> AsyncIterable[ServerSentEvent]:
    """What happens to any order, from now on: `{order_id, seq, kind, at}`, named by its kind."""
    yield LIVE
    async for notice in gateway.events.follow():
        yield ServerSentEvent(event=notice.kind, data=notice)


@router.get("/audit", responses=_AUDIT_PROBLEMS)
async def audit(gateway: GatewayDependency, grace: _Grace = 30.0, whole: bool = False) -> AuditOut:
    """Check the invariants over both ledgers: of all orders that may have changed since they were last found in order,
    or, with `whole`, of everything there is, in pieces. That takes its time; `/admin/audit/progress` tells how much."""
    audit = gateway.auditor.everything if whole else gateway.auditor.recent
    return await audit(timedelta(seconds=grace))


async def _steps(gateway: GatewayDependency, grace: _Grace = 30.0) -> AsyncIterator[AuditSteps]:
    """Begun before the stream, so that a refusal is answered as such and not within it."""
    async with gateway.auditor.whole(timedelta(seconds=grace)) as steps:
        yield steps


@router.get("/audit/progress", response_class=EventSourceResponse, responses=_AUDIT_PROBLEMS)
async def audit_everything(steps: Annotated[AuditSteps, Depends(_steps)]) -> AsyncIterable[ServerSentEvent]:
    """Check everything, as `GET /admin/audit?whole=true` does: events `progress`, and at last `verdict`. Whoever goes
    ends it."""
    async for step in steps:
        yield ServerSentEvent(event="verdict" if isinstance(step, AuditOut) else "progress", data=step)


@router.post("/restock")
async def restock(wanted: Restock, gateway: GatewayDependency) -> Available:
    """Add to the stock of a product."""
    return await catalogue.restock(gateway.engine, wanted)


@router.post("/write-off", responses=declared({409: "Fewer are left beside the reserved."}))
async def write_off(wanted: WriteOff, gateway: GatewayDependency) -> Available:
    """Take broken or lost goods out of the stock of a product. What orders have reserved stays theirs."""
    return await catalogue.write_off(gateway.engine, wanted)


@router.put(
    "/products/{sku}",
    responses={201: {"model": Product, "description": "Added, with nothing in stock."}},
)
async def put_product(sku: _Sku, product: ProductIn, gateway: GatewayDependency, answer: Response) -> Product:
    """Add a product, or change it. Orders keep the name, price and currency that they were agreed on."""
    changed, is_new = await catalogue.put_product(gateway.engine, sku, product)
    answer.status_code = 201 if is_new else 200
    return changed


@router.post("/products/{sku}/withdraw")
async def withdraw(sku: _Sku, gateway: GatewayDependency) -> Product:
    """Sell a product no longer. Orders that have it are untouched; new ones are refused (409 `withdrawn`)."""
    return await catalogue.set_withdrawn(gateway.engine, sku, withdrawn=True)


@router.post("/products/{sku}/offer")
async def offer(sku: _Sku, gateway: GatewayDependency) -> Product:
    """Sell a withdrawn product again."""
    return await catalogue.set_withdrawn(gateway.engine, sku, withdrawn=False)
