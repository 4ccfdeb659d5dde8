"""The order's page, and the two addresses to which the payment service sends the customer back.

Neither of these believes its own address: whoever comes back, the order is asked, and the payment service through it.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from api.order_views import order_out
from api.problems import Problem
from api.state import Gateway, GatewayDependency
from api.web.rendering import page, posted_fields
from api.web.shop.story import tell
from checkout.errors import OrderNotFound
from checkout.orders import Order, OrderStatus
from db import order_queries, views

router = APIRouter(include_in_schema=False)

_SEE_OTHER = 303


@dataclass(frozen=True)
class Notice:
    text: str
    tone: str


_NOTICES = {
    "back": Notice("You came back without paying. Your order is kept until the time to pay is over.", "wait"),
    "not-cancelled": Notice(
        "It can no longer be cancelled: the payment came first or is on its way, or it had already ended.", "wait"
    ),
    "pending": Notice("The order is being cancelled; the payment service has not confirmed yet.", "wait"),
    "unconfirmed": Notice("Your payment is being confirmed. This page shows it as soon as it is.", ""),
}


@router.get("/orders/{order_id}/view")
async def view(order_id: str, gateway: GatewayDependency, note: str = "") -> Response:
    """The order as it is now; its script keeps it so."""
    async with gateway.engine.connect() as connection:
        row = await views.order_detail(connection, order_id)
    if row is None:
        raise OrderNotFound
    order = order_out(row)
    notice = _NOTICES.get(note)
    if note in ("back", "pending", "unconfirmed") and not _is_open(order.status):
        notice = None
    headers = {"Cache-Control": "no-store"}
    return page("order.html", headers=headers, order=order, story=tell(order), now=row.now, notice=notice)


@router.post("/orders/{order_id}/view")
async def act(order_id: str, request: Request, gateway: GatewayDependency) -> Response:
    """The page's button without script: cancel, then look again."""
    if (await posted_fields(request)).get("do") != "cancel":
        raise Problem(422, "invalid-request", "There is no such action")
    note = ""
    try:
        await gateway.orders.cancel(order_id)
    except Problem as problem:
        note = "?note=pending" if problem.code == "cancel-pending" else "?note=not-cancelled"
    return RedirectResponse(f"/orders/{order_id}/view{note}", _SEE_OTHER)


@router.get("/checkout/success")
async def success(
    request: Request, gateway: GatewayDependency, session_id: Annotated[str, Query(max_length=255)] = ""
) -> Response:
    """Back from paying, says the address. The order's page says what is true."""
    async with gateway.engine.connect() as connection:
        order = await order_queries.find_by_session(connection, session_id)
    return await _back(request, gateway, order, "unconfirmed")


@router.get("/checkout/cancel")
async def cancelled(
    request: Request, gateway: GatewayDependency, order_id: Annotated[str, Query(max_length=255)] = ""
) -> Response:
    """Back without paying. The payment service may have closed the session, or may not: it is asked."""
    async with gateway.engine.connect() as connection:
        order = await order_queries.find_by_id(connection, order_id)
    return await _back(request, gateway, order, "back")


async def _back(request: Request, gateway: Gateway, order: Order | None, note: str) -> Response:
    if order is None or order.session is None:
        raise OrderNotFound
    if order.status.is_live and _may_look(request, gateway):
        order = await gateway.orders.look_again(order, come_from=note)
    return RedirectResponse(
        f"/orders/{order.order_id}/view" + (f"?note={note}" if _is_open(order.status) else ""),
        _SEE_OTHER,
        {"Cache-Control": "no-store"},
    )


def _is_open(status: OrderStatus) -> bool:
    """Whether the customer can still pay; of a payment that is on its way the page says all there is to say."""
    return status.is_live and status is not OrderStatus.PAYMENT_PROCESSING


def _may_look(request: Request, gateway: Gateway) -> bool:
    """A look costs a signal and a wait: who opens the address again and again only sees the order as it is."""
    try:
        gateway.limits.take(gateway.limits.client_of(request))
    except Problem:
        return False
    return True
