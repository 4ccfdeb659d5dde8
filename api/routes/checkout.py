"""`POST /checkout`: press Buy."""

import contextlib
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api.answers import checkout_response, pending_response
from api.carts import FORM, is_form_of, key_of, parse_cart, parse_form
from api.openapi import declared
from api.problems import Problem, echo
from api.schemas import CheckoutAnswer, CheckoutPending
from api.state import Gateway, GatewayDependency
from api.web.rendering import problem_page, wants_page
from checkout.errors import InvalidKey
from checkout.ids import new_checkout_key, parse_checkout_key

router = APIRouter(tags=["checkout"])

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
_REPLAYED = {"Idempotent-Replayed": "true"}
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
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9._~:-]{1,200}$"},
            "description": "The checkout's key, if it is not in the path.",
        }
    ],
}


@router.post("/checkout", responses=_RESPONSES, openapi_extra=_REQUEST, summary="Press Buy")
async def buy(request: Request, gateway: GatewayDependency) -> Response:
    """Start a checkout, or repeat the answer of the key's checkout. Without a key, a random one is made."""
    return await _buy(request, gateway, None)


@router.post("/checkout/{key:path}", responses=_RESPONSES, openapi_extra=_REQUEST, summary="Press Buy, with a key")
async def buy_with_key(key: str, request: Request, gateway: GatewayDependency) -> Response:
    """Start the key's checkout, once; every repeat gets the same answer."""
    return await _buy(request, gateway, key)


@router.get(
    "/checkout/{key:path}",
    responses=declared({400: "Not a checkout key.", 404: "Nothing was begun under this key."})
    | {status: _RESPONSES[status] for status in (200, 202, 409, 502)},
    summary="Look what has become of a checkout",
)
async def look(key: str, request: Request, gateway: GatewayDependency) -> Response:
    """The same answer as to whoever posts the key's cart again, without the cart and without waiting.

    A person is shown the order's page.
    """
    checkout_key = parse_checkout_key(key)
    headers = _headers(checkout_key)
    echo(request, headers)
    order = await gateway.checkouts.look(checkout_key)
    if order is None:
        return pending_response(checkout_key, headers)
    if wants_page(request):
        return RedirectResponse(f"/orders/{order.order_id}/view", 303, headers)
    return checkout_response(request, order, headers | _REPLAYED)


async def _buy(request: Request, gateway: Gateway, path_key: str | None) -> Response:
    client = gateway.limits.client_of(request)
    with contextlib.suppress(Problem, InvalidKey):  # a bad key is told of below, and counted as well
        if key := key_of(request, path_key):
            echo(request, _headers(key))
    gateway.limits.take(client)
    body = await request.body()
    is_form = is_form_of(request, body)
    form = parse_form(body) if is_form else {}
    key = key_of(request, path_key, form.pop("key", None))
    checkout_key = key or new_checkout_key()
    request.state.form = form | {"key": checkout_key}  # for a page that tells what went wrong: the cart is kept
    headers = _headers(checkout_key)
    # From here on also where nothing but a made up key tells: should the answer be lost, it is the only way back.
    echo(request, headers)
    cart = parse_cart(form if is_form else body)
    outcome = await gateway.checkouts.buy(checkout_key, cart.lines(), cart.email, client=client, is_new_key=key is None)
    if outcome.is_replay:
        headers |= _REPLAYED
    if outcome.order is not None:
        return checkout_response(request, outcome.order, headers, is_form=is_form)
    if is_form and wants_page(request):
        return problem_page(request, Problem(202, "waiting", "Your order has begun", headers=headers))
    return pending_response(checkout_key, headers)


def _headers(checkout_key: str) -> dict[str, str]:
    return {"Idempotency-Key": checkout_key, "Cache-Control": "no-store"}
