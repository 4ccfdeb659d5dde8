"""`POST /checkout`: press Buy. Every repeat of a key gets the same bytes."""

import contextlib
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Header, Request
from starlette.responses import RedirectResponse, Response

from api.carts import REQUEST, CheckoutRequest, is_form_of, key_of, parse_cart, parse_form
from api.checkout_answers import ANSWERS, answer_of, pending
from api.gateway import Gateway, GatewayDependency
from api.openapi import declared
from api.problems import Problem, echo
from api.web.rendering import problem_page, wants_page
from checkout.errors import InvalidKey
from checkout.ids import new_checkout_key, parse_checkout_key

router = APIRouter(tags=["checkout"])

_KEY = {"pattern": "^[A-Za-z0-9._~:-]{1,200}$"}
# Told of here, and read by hand (`key_of`), for it may be quoted, or come twice.
_KeyHeader = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="The checkout's key, if not in the path.", json_schema_extra=_KEY),
]


@router.post("/checkout", responses=ANSWERS, openapi_extra=REQUEST, summary="Press Buy")
async def buy(request: Request, gateway: GatewayDependency, idempotency_key: _KeyHeader = None) -> Response:
    """Start a checkout, or repeat the answer of the key's checkout. Without a key, a random one is made."""
    return await _buy(request, gateway, None)


@router.post("/checkout/{key:path}", responses=ANSWERS, openapi_extra=REQUEST, summary="Press Buy, with a key")
async def buy_with_key(
    key: str, request: Request, gateway: GatewayDependency, idempotency_key: _KeyHeader = None
) -> Response:
    """Start the key's checkout, once; every repeat gets the same answer."""
    return await _buy(request, gateway, key)


@router.get(
    "/checkout/{key:path}",
    responses=declared({400: "Not a checkout key.", 404: "Nothing was begun under this key."})
    | {status: ANSWERS[status] for status in (200, 202, 409, 502)},
    summary="Look what has become of a checkout",
)
async def look(key: str, request: Request, gateway: GatewayDependency) -> Response:
    """The same answer as to whoever posts the key's cart again, without the cart and without waiting. A person is shown
    the order's page."""
    checkout_key = parse_checkout_key(key)
    _say_key(request, checkout_key)
    order = await gateway.checkouts.look(checkout_key)
    if order is None:
        return pending(checkout_key)
    if wants_page(request):
        return RedirectResponse(f"/orders/{order.order_id}/view", 303)
    _say_key(request, checkout_key, is_replay=True)
    return answer_of(request, order)


async def _buy(request: Request, gateway: Gateway, path_key: str | None) -> Response:
    client = gateway.limits.client_of(request)
    with contextlib.suppress(Problem, InvalidKey):  # a bad key is told of below, and counted as well
        if key := key_of(request, path_key):
            _say_key(request, key)
    gateway.limits.take(client)
    wish = await _read(request, path_key)
    cart = wish.cart
    outcome = await gateway.checkouts.buy(wish.key, cart.lines(), cart.email, client=client, is_new_key=wish.is_new_key)
    _say_key(request, wish.key, is_replay=outcome.is_replay)
    if outcome.order is not None:
        return answer_of(request, outcome.order, is_form=wish.is_form)
    if wish.is_form and wants_page(request):
        return problem_page(request, Problem(202, "waiting", "Your order has begun"))
    return pending(wish.key)


class _Wish(NamedTuple):
    """What was sent. `is_new_key`: none was, so it is made up here."""

    key: str
    is_new_key: bool
    cart: CheckoutRequest
    is_form: bool


async def _read(request: Request, path_key: str | None) -> _Wish:
    """Key and cart, wherever they stand. Raises a `Problem` or `InvalidKey` that says what is wrong with them."""
    body = await request.body()
    is_form = is_form_of(request, body)
    form = parse_form(body) if is_form else {}
    given = key_of(request, path_key, form.pop("key", None))
    key = given or new_checkout_key()
    request.state.form = form | {"key": key}  # for a page that tells what went wrong: the cart is kept
    # From here on also where nothing but a made up key tells: should the answer be lost, it is the only way back.
    _say_key(request, key)
    return _Wish(key, given is None, parse_cart(form if is_form else body), is_form)


def _say_key(request: Request, checkout_key: str, *, is_replay: bool = False) -> None:
    """Have the answer say the key, whatever it is, an error included."""
    headers = {"Idempotency-Key": checkout_key, "Cache-Control": "no-store"}
    if is_replay:
        headers["Idempotent-Replayed"] = "true"
    echo(request, headers)
