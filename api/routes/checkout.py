"""`POST /checkout`: press Buy. Every repeat of a key gets the same bytes."""

import contextlib
from datetime import UTC
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from api.carts import FORM, is_form_of, key_of, parse_cart, parse_form
from api.gateway import Gateway, GatewayDependency
from api.openapi import declared
from api.problems import Problem, echo
from api.web.rendering import problem_page, wants_page
from checkout.errors import InvalidKey
from checkout.ids import new_checkout_key, parse_checkout_key
from checkout.orders import Order, Reason
from checkout.sessions import PaymentSession

router = APIRouter(tags=["checkout"])


class CheckoutAnswer(BaseModel):
    """Where to pay. Byte-identical whenever the same key is sent again."""

    checkout_key: str
    order_id: str
    session_id: str
    payment_url: str
    amount_total: int
    currency: str
    expires_at: str
    submit_payment: str | None = Field(None, description="Only with the payment mock: the curl line that pays.")
    cancel_payment: str | None = Field(None, description="Only with the payment mock: the curl line that cancels.")


class CheckoutPending(BaseModel):
    """202: the checkout has begun, its session is not there yet. Post the key again to go on waiting."""

    checkout_key: str
    status: Literal["pending"] = "pending"


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": CheckoutAnswer,
        "description": "The session is open. Repeats of the key get the same bytes, and `Idempotent-Replayed: true`.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
        "headers": {
            "Idempotency-Key": {"schema": {"type": "string"}, "description": "The checkout's key."},
            "Idempotent-Replayed": {"schema": {"type": "string"}, "description": "`true` on a repeat."},
        },
    },
    202: {"model": CheckoutPending, "description": "Begun, not ready yet: post the same key again."},
    303: {"description": "To a browser's form: on to the payment page."},
    **declared(
        {
            400: "Broken JSON, or a bad or contradictory key.",
            409: "Out of stock, another price than was seen, or given up before its session.",
            413: "Body over 64 KiB.",
            422: "A field is wrong, or the key belongs to another cart.",
            429: "Over a rate or reservation cap.",
            502: "The payment service refuses for good; stock returned.",
            503: "Temporal or PostgreSQL is away; repeating is safe.",
        }
    ),
}
# Why there will never be a session: status, code, title, and what the names of the SKUs it is about are told with.
_CLOSED: dict[Reason | None, tuple[int, str, str, str]] = {
    Reason.OUT_OF_STOCK: (409, "out-of-stock", "Not enough in stock", "Out of stock"),
    Reason.WITHDRAWN: (409, "withdrawn", "No longer sold", "No longer sold"),
    Reason.PAYMENT_UNAVAILABLE: (502, "payment-unavailable", "The payment service did not open a session", ""),
}
_GIVEN_UP = (409, "checkout-closed", "This checkout was given up before it could be paid", "")
_NOTHING_HAPPENED = "Nothing was charged and nothing stays reserved. Try again with a new key."
_VARY = {"Vary": "Accept"}
_LISTS = {"sku": "string", "quantity": "integer", "expected_unit_amount": "integer", "expected_currency": "string"}
_FIELDS = {name: {"type": "array", "items": {"type": kind}} for name, kind in _LISTS.items()}
_FIELDS |= {"email": {"type": "string"}, "key": {"type": "string"}}
_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/CheckoutRequest"}},
            FORM: {"schema": {"type": "object", "properties": _FIELDS}},
        },
    },
}
_KEY = {"pattern": "^[A-Za-z0-9._~:-]{1,200}$"}
# Told of here, and read by hand (`key_of`), for it may be quoted, or come twice.
_KeyHeader = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="The checkout's key, if not in the path.", json_schema_extra=_KEY),
]


@router.post("/checkout", responses=_RESPONSES, openapi_extra=_REQUEST, summary="Press Buy")
async def buy(request: Request, gateway: GatewayDependency, idempotency_key: _KeyHeader = None) -> Response:
    """Start a checkout, or repeat the answer of the key's checkout. Without a key, a random one is made."""
    return await _buy(request, gateway, None)


@router.post("/checkout/{key:path}", responses=_RESPONSES, openapi_extra=_REQUEST, summary="Press Buy, with a key")
async def buy_with_key(
    key: str, request: Request, gateway: GatewayDependency, idempotency_key: _KeyHeader = None
) -> Response:
    """Start the key's checkout, once; every repeat gets the same answer."""
    return await _buy(request, gateway, key)


@router.get(
    "/checkout/{key:path}",
    responses=declared({400: "Not a checkout key.", 404: "Nothing was begun under this key."})
    | {status: _RESPONSES[status] for status in (200, 202, 409, 502)},
    summary="Look what has become of a checkout",
)
async def look(key: str, request: Request, gateway: GatewayDependency) -> Response:
    """The same answer as to whoever posts the key's cart again, without the cart and without waiting. A person is shown
    the order's page."""
    checkout_key = parse_checkout_key(key)
    _say_key(request, checkout_key)
    order = await gateway.checkouts.look(checkout_key)
    if order is None:
        return _pending(checkout_key)
    if wants_page(request):
        return RedirectResponse(f"/orders/{order.order_id}/view", 303)
    _say_key(request, checkout_key, is_replay=True)
    return _answer(request, order)


async def _buy(request: Request, gateway: Gateway, path_key: str | None) -> Response:
    client = gateway.limits.client_of(request)
    with contextlib.suppress(Problem, InvalidKey):  # a bad key is told of below, and counted as well
        if key := key_of(request, path_key):
            _say_key(request, key)
    gateway.limits.take(client)
    body = await request.body()
    is_form = is_form_of(request, body)
    form = parse_form(body) if is_form else {}
    key = key_of(request, path_key, form.pop("key", None))
    checkout_key = key or new_checkout_key()
    request.state.form = form | {"key": checkout_key}  # for a page that tells what went wrong: the cart is kept
    # From here on also where nothing but a made up key tells: should the answer be lost, it is the only way back.
    _say_key(request, checkout_key)
    cart = parse_cart(form if is_form else body)
    outcome = await gateway.checkouts.buy(checkout_key, cart.lines(), cart.email, client=client, is_new_key=key is None)
    _say_key(request, checkout_key, is_replay=outcome.is_replay)
    if outcome.order is not None:
        return _answer(request, outcome.order, is_form=is_form)
    if is_form and wants_page(request):
        return problem_page(request, Problem(202, "waiting", "Your order has begun"))
    return _pending(checkout_key)


def _say_key(request: Request, checkout_key: str, *, is_replay: bool = False) -> None:
    """In whatever is answered."""
    headers = {"Idempotency-Key": checkout_key, "Cache-Control": "no-store"}
    if is_replay:
        headers["Idempotent-Replayed"] = "true"
    echo(request, headers)


def _pending(checkout_key: str) -> Response:
    headers = {"Location": f"/checkout/{checkout_key}", "Retry-After": "1"}
    return JSONResponse(CheckoutPending(checkout_key=checkout_key).model_dump(), 202, headers)


def _answer(request: Request, order: Order, *, is_form: bool = False) -> Response:
    """In the form asked for: JSON, the guide's plain text, or a browser's way to the payment page. Raises a `Problem`
    that says why there is no session and never will be."""
    session = order.session
    if session is None:
        raise _closed(order)
    if is_form:
        return RedirectResponse(session.url, 303, _VARY)
    if request.headers.get("accept", "").split(",")[0].split(";")[0].strip() == "text/plain":
        lines = _curl_lines(session)
        told = f"Pay at:\n{session.url}\n"
        if lines:
            told = f"Submit payment:\n{lines['submit_payment']}\nCancel payment:\n{lines['cancel_payment']}\n"
        return PlainTextResponse(told, headers=_VARY)
    return Response(checkout_body(order), headers=_VARY, media_type="application/json")


def checkout_body(order: Order) -> bytes:
    """The JSON answer. Only values that never change once the session is recorded go into it."""
    session = order.session
    assert session is not None, "only an order with a session has an answer"
    answer = CheckoutAnswer(
        checkout_key=order.checkout_key,
        order_id=order.order_id,
        session_id=session.session_id,
        payment_url=session.url,
        amount_total=order.amount_total,
        currency=order.currency,
        expires_at=order.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **_curl_lines(session),
    )
    return answer.model_dump_json(exclude_none=True, ensure_ascii=True).encode()


def _closed(order: Order) -> Problem:
    status, code, title, told_with = _CLOSED.get(order.reason, _GIVEN_UP)
    if not told_with:
        return Problem(status, code, title, _NOTHING_HAPPENED, headers=_VARY, order_id=order.order_id)
    skus = order.missing_skus or []
    detail = f"{told_with}: {', '.join(skus)}"
    return Problem(status, code, title, detail, headers=_VARY, skus=skus, order_id=order.order_id)


def _curl_lines(session: PaymentSession) -> dict[str, str]:
    """What pays and what cancels at the payment mock; nothing at a real payment service."""
    if not session.simulator_url:
        return {}
    calls = ("submit_payment", "cancel_payment")
    return {
        call: f"curl -X POST {session.simulator_url}/api/{call} -d session_id={session.session_id}" for call in calls
    }
