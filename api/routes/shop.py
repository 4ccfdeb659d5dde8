"""The catalogue in pages, a search in it, or certain products; and an order as its customer sees it."""

import hashlib
from collections.abc import AsyncIterable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel
from starlette.responses import Response

from api.catalogue import ProductList, ProductOut, Sku, has_product
from api.gateway import GatewayDependency
from api.openapi import declared
from api.order_events import LIVE
from api.order_views import OrderOut, TimelineEvent, order_out
from api.problems import invalid
from checkout.errors import OrderNotFound
from checkout.orders import OrderStatus, Reason
from db.catalogue import Selection

router = APIRouter()

_PAGE, _LONGEST_PAGE = 100, 500
_MOST_SKUS = 200
_MAX_SEQ = 2**31 - 1
_CANCEL_PROBLEMS = declared(
    {
        409: "The order has ended otherwise: it was paid, say.",
        503: "The provider has not confirmed yet, or PostgreSQL or Temporal is away; repeating is safe.",
    }
)


class CancelAnswer(BaseModel):
    order_id: str
    status: OrderStatus
    reason: Reason | None


@router.get(
    "/products",
    tags=["catalogue"],
    response_model=ProductList,
    responses={304: {"description": "As `If-None-Match` has it."}},
)
async def products(
    request: Request,
    gateway: GatewayDependency,
    q: Annotated[str | None, Query(max_length=100, description="Words; each may be the beginning of one")] = None,
    sku: Annotated[
        list[Sku] | None, Query(max_length=_MOST_SKUS, description="Only these products, and no other parameter")
    ] = None,
    after: Annotated[Sku | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int | None, Query(ge=1, le=_LONGEST_PAGE)] = None,
) -> Response:
    """The catalogue, with what can be bought now: a page of it, and in `next` where the one after it begins."""
    if sku and (q or after or limit):
        raise invalid(("sku", "names the products wanted: without q, after and limit"))
    certain = Selection(len(sku), skus=tuple(sku)) if sku else None
    shelf = await gateway.shelf(certain or Selection(limit or _PAGE, search=q, after=after))
    # Sold or withdrawn: a page may end with a product that is withdrawn before the next one is asked for.
    if after and not shelf.products and not await has_product(gateway.engine, after):
        raise invalid(("after", "not a cursor of ours"))
    page = ProductList(
        products=[ProductOut(**vars(product)) for product in shelf.products],
        next=shelf.products[-1].sku if shelf.has_more else None,
    )
    body = page.model_dump_json().encode()
    # A browser may keep it, but asks each time whether it still holds.
    headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:24]}"', "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match", "").removeprefix("W/") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


@router.get("/orders/{order_id}", tags=["orders"])
async def order(order_id: str, gateway: GatewayDependency) -> OrderOut:
    """Status, lines, payment, dispatch and the timeline."""
    return order_out(await gateway.orders.detail(order_id))


async def _resume_point(
    order_id: str,
    gateway: GatewayDependency,
    last_event_id: Annotated[str | None, Header()] = None,
    after: Annotated[
        int, Query(ge=0, le=_MAX_SEQ, description="Begin after this event; a resumed stream knows better")
    ] = 0,
) -> int:
    """Where a stream begins. Raises `OrderNotFound` before it does: an order has a first event or does not exist."""
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 12:
        after = min(int(last_event_id), _MAX_SEQ)
    if not await gateway.events.read(order_id, 0):
        raise OrderNotFound
    return after


@router.get("/orders/{order_id}/events", tags=["orders"], response_class=EventSourceResponse)
async def order_events(
    order_id: str, gateway: GatewayDependency, after: Annotated[int, Depends(_resume_point)]
) -> AsyncIterable[ServerSentEvent]:
    """The timeline live. Resume after the last event seen with `Last-Event-ID`; ends with the order. A stream that
    resumes after the end stays open for what may still come, a refund."""
    yield LIVE
    async for event in gateway.events.stream(order_id, after):
        yield ServerSentEvent(event=event.kind, id=str(event.seq), data=TimelineEvent(**vars(event)))


@router.post("/orders/{order_id}/cancel", tags=["orders"], responses=_CANCEL_PROBLEMS)
async def cancel(order_id: str, gateway: GatewayDependency) -> CancelAnswer:
    """Give the order up. The session is closed at the provider first; a payment that came before wins."""
    order = await gateway.orders.cancel(order_id)
    return CancelAnswer(order_id=order.order_id, status=order.status, reason=order.reason or Reason.CUSTOMER)
