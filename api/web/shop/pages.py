"""The shop's pages: the storefront, the order's page, and where the payment service sends the customer back.

Neither of these two addresses believes itself: whoever comes back, the order is asked, and the payment service through
it. The storefront works as a plain form; with script it keeps the cart and the checkout's key.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.order_views import order_out
from api.problems import Problem
from api.schemas import MAX_QUANTITY
from api.state import Gateway, GatewayDependency
from api.web.assets import picture_origins
from api.web.rendering import DEEPEST, page, payment_targets, posted_fields, see_other
from api.web.shop.story import tell
from checkout.errors import OrderNotFound
from checkout.ids import new_checkout_key
from checkout.orders import Order, OrderStatus
from db import order_queries

router = APIRouter(include_in_schema=False)

_SHELF = 24  # products on a page
_PRIVATE = {"Cache-Control": "no-store"}
# What an address may note of how one came here: always, and of an order that can still be paid.
_NOTES, _NOTES_OF_OPEN = ("not-cancelled",), ("back", "pending", "unconfirmed")


@router.get("/")
async def storefront(
    gateway: GatewayDependency,
    q: Annotated[str, Query(max_length=100)] = "",
    number: Annotated[int, Query(alias="page", ge=1, le=DEEPEST)] = 1,
    sku: Annotated[list[str], Query()] = [],  # noqa: B006 - FastAPI copies it
    quantity: Annotated[list[str], Query()] = [],  # noqa: B006
    email: Annotated[str, Query(max_length=254)] = "",
) -> Response:
    """A page of the catalogue, or of what was found in it.

    `sku` and `quantity`, in pairs, fill the cart: without script it goes along from page to page, and comes back from
    an error.
    """
    search = q.strip()
    shelf = await gateway.catalogue.shelf(search=search or None, offset=(number - 1) * _SHELF, limit=_SHELF)
    wanted = {name: count for name, text in zip(sku, quantity, strict=False) if (count := _quantity(text))}
    shown = {product.sku for product in shelf.products}
    elsewhere = [name for name in wanted if name not in shown]
    return page(
        "storefront.html",
        form_action=payment_targets(gateway.settings),
        pictures=picture_origins(product.image for product in shelf.products),
        products=shelf.products,
        elsewhere=(await gateway.catalogue.products_of(elsewhere)).products if elsewhere else [],
        search=search,
        number=number,
        has_more=shelf.has_more,
        wanted=wanted,
        email=email,
        # The key of a form without script: minted with the page, so that a double click sends the same one.
        key=new_checkout_key(),
    )


@router.get("/orders/{order_id}/view")
async def view(order_id: str, gateway: GatewayDependency, note: str = "") -> Response:
    """The order as it is now; its script keeps it so."""
    row = await gateway.orders.detail(order_id)
    order = order_out(row)
    is_true = note in _NOTES or (note in _NOTES_OF_OPEN and _is_open(order.status))
    return page(
        "order.html", headers=_PRIVATE, order=order, story=tell(order), now=row.now, note=note if is_true else ""
    )


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
    return see_other(f"/orders/{order_id}/view{note}")


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
    query = f"?note={note}" if _is_open(order.status) else ""
    return see_other(f"/orders/{order.order_id}/view{query}", _PRIVATE)


def _quantity(text: str) -> int:
    return min(int(text), MAX_QUANTITY) if text.isascii() and text.isdigit() and len(text) < 5 else 0


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
