"""The shop's pages: the storefront, which works as a plain form, the order's page, and where the payment service sends
the customer back. Neither of these two addresses believes itself: whoever comes back, the payment service is asked."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from api.carts import MAX_QUANTITY
from api.gateway import Gateway, GatewayDependency
from api.order_views import OrderOut, order_out
from api.problems import Problem
from api.web.assets import picture_origins
from api.web.rendering import DEEPEST, page, payment_targets, posted_fields
from checkout.errors import OrderNotFound
from checkout.ids import new_checkout_key
from checkout.orders import Order, OrderStatus, Reason
from db.catalogue import Selection

router = APIRouter(include_in_schema=False)

_SHELF = 24  # products on a page
# What an address may note of how one came here, while the order can still be paid.
_NOTES = ("back", "pending", "unconfirmed")


@router.get("/")
async def storefront(
    gateway: GatewayDependency,
    q: Annotated[str, Query(max_length=100)] = "",
    number: Annotated[int, Query(alias="page", ge=1, le=DEEPEST)] = 1,
    sku: Annotated[list[str], Query()] = [],  # noqa: B006 - FastAPI copies it
    quantity: Annotated[list[str], Query()] = [],  # noqa: B006
    email: Annotated[str, Query(max_length=254)] = "",
) -> Response:
    """A page of the catalogue, or of what was found in it. `sku` and `quantity`, in pairs, fill the cart: without
    script it goes along from page to page, and comes back from an error."""
    search = q.strip()
    shelf = await gateway.shelf(Selection(_SHELF, search=search, offset=(number - 1) * _SHELF))
    wanted = {name: count for name, text in zip(sku, quantity, strict=False) if (count := _quantity(text))}
    elsewhere = tuple(sorted(wanted.keys() - {product.sku for product in shelf.products}))
    others = (await gateway.shelf(Selection(len(elsewhere), skus=elsewhere))).products if elsewhere else []
    return page(
        "storefront.html",
        headers={"Cache-Control": "no-cache"},
        form_action=payment_targets(gateway.settings),
        pictures=picture_origins(product.image for product in shelf.products),
        shelf=shelf,
        elsewhere=others,
        search=search,
        number=number,
        wanted=wanted,
        email=email,
        # The key of a form without script: minted with the page, so that a double click sends the same one.
        key=new_checkout_key(),
    )


@router.get("/orders/{order_id}/view")
async def view(order_id: str, gateway: GatewayDependency, note: str = "") -> Response:
    """The order as it is now; its script keeps it fresh."""
    row = await gateway.orders.detail(order_id)
    order = order_out(row)
    is_true = note == "not-cancelled" or (note in _NOTES and order.status.is_open)
    return page("order.html", order=order, story=story_of(order), now=row.now, note=note if is_true else "")


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
    return RedirectResponse(f"/orders/{order_id}/view{note}", 303)


@router.get("/checkout/success")
async def success(
    request: Request, gateway: GatewayDependency, session_id: Annotated[str, Query(max_length=255)] = ""
) -> Response:
    """Back from paying, says the address. The order's page says what is true."""
    return await _back(request, gateway, await gateway.orders.find_by_session(session_id), "unconfirmed")


@router.get("/checkout/cancel")
async def cancelled(
    request: Request, gateway: GatewayDependency, order_id: Annotated[str, Query(max_length=255)] = ""
) -> Response:
    """Back without paying. The payment service may have closed the session, or may not: it is asked."""
    return await _back(request, gateway, await gateway.orders.find(order_id), "back")


async def _back(request: Request, gateway: Gateway, order: Order | None, note: str) -> Response:
    if order is None or order.session is None:
        raise OrderNotFound
    if order.status.is_live:
        # A look costs a signal and a wait: who opens the address again and again only sees the order as it is.
        with suppress(Problem):
            gateway.limits.take(gateway.limits.client_of(request))
            order = await gateway.orders.look_again(order, come_from=note)
    query = f"?note={note}" if order.status.is_open else ""
    return RedirectResponse(f"/orders/{order.order_id}/view{query}", 303)


def _quantity(text: str) -> int:
    return min(int(text), MAX_QUANTITY) if text.isascii() and text.isdigit() and len(text) < 5 else 0


State = Literal["done", "now", "todo", "failed", "back"]  # of a step
_WAY = ("reserved", "awaiting_payment", "payment_processing", "paid", "fulfilled", "dispatched")
_ENDS: dict[str, State] = {"rejected": "failed", "cancelled": "failed", "refunded": "back"}


@dataclass(frozen=True)
class Step:
    """`reason`: why the order ended so."""

    kind: str
    state: State
    at: datetime | None = None
    reason: Reason | None = None


@dataclass(frozen=True)
class Story:
    """An order as steps, done and to come, or why it did not get there; the words are in `templates/words.html`.
    `missing`: names of what could not be had. `goes_back_whole`: all that the shop kept is on its way back. `is_over`:
    nothing more changes by itself."""

    steps: list[Step]
    missing: list[str]
    goes_back_whole: bool
    is_over: bool


def story_of(order: OrderOut) -> Story:
    status, payment = order.status, order.payment
    missing = {sku for event in order.timeline for sku in event.data.get("skus", [])}
    is_money_moving = payment.refund_pending > 0 or payment.status == "refund_due"
    return Story(
        steps=_steps(order),
        missing=[line.name for line in order.lines if line.sku in missing],
        goes_back_whole=status.is_kept and 0 < payment.refund_pending == payment.kept,
        is_over=not (status.is_live or status is OrderStatus.FULFILLED or is_money_moving),
    )


def _steps(order: OrderOut) -> list[Step]:
    """The steps gone, the one now, and those to come; or how it ended."""
    came = {event.kind: event.at for event in order.timeline}
    may_go_on = order.status.is_live or order.status.is_kept
    steps: list[Step] = []
    ahead: State = "now"
    for kind in _WAY:
        is_under_way = order.status.is_live and kind == order.status
        if kind in came and not is_under_way:
            steps.append(Step(kind, "done", came[kind]))
        elif may_go_on and (is_under_way or kind != OrderStatus.PAYMENT_PROCESSING):
            steps.append(Step(kind, ahead, came.get(kind)))
            ahead = "todo"
    for event in order.timeline:  # in the order in which they came: a cancelled order may be refunded later
        if event.kind in _ENDS:
            reason = event.data.get("reason")
            known = Reason(reason) if reason in set(Reason) else None
            steps.append(Step(event.kind, _ENDS[event.kind], event.at, known))
    return steps
