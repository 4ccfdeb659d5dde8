"""`POST /checkout`: press Buy."""

import contextlib
import json
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from api import answers
from api.checkouts import Buy
from api.problems import Problem, declared, echo, invalid_fields, malformed_json
from api.schemas import CheckoutAnswer, CheckoutPending, CheckoutRequest, ProblemOut
from api.state import Gateway, GatewayDependency
from api.web.messages import waiting_page
from api.web.rendering import wants_page
from checkout.errors import InvalidKey
from checkout.ids import new_checkout_key, parse_checkout_key

router = APIRouter(tags=["checkout"])

_FORM = "application/x-www-form-urlencoded"
_PRICE = ("expected_unit_amount", "expected_currency")
_PROBLEM = {"content": {"application/problem+json": {"schema": ProblemOut.model_json_schema()}}}
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
    400: {"description": "Broken JSON, or a bad or contradictory key.", **_PROBLEM},
    409: {"description": "Out of stock, another price than was seen, or given up before its session.", **_PROBLEM},
    413: {"description": "Body over 64 KiB.", **_PROBLEM},
    422: {"description": "A field is wrong, or the key belongs to another cart.", **_PROBLEM},
    429: {"description": "Over a rate or reservation cap.", **_PROBLEM},
    502: {"description": "The payment service refuses for good; stock returned.", **_PROBLEM},
    503: {"description": "Temporal or PostgreSQL is away; repeating is safe.", **_PROBLEM},
}
_REQUEST_BODY = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/CheckoutRequest"}},
            _FORM: {
                "schema": {
                    "type": "object",
                    "properties": {
                        "sku": {"type": "array", "items": {"type": "string"}},
                        "quantity": {"type": "array", "items": {"type": "integer"}},
                        "expected_unit_amount": {"type": "array", "items": {"type": "integer"}},
                        "expected_currency": {"type": "array", "items": {"type": "string"}},
                        "email": {"type": "string"},
                        "key": {"type": "string"},
                    },
                }
            },
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


@router.post("/checkout", responses=_RESPONSES, openapi_extra=_REQUEST_BODY, summary="Press Buy")
async def buy(request: Request, gateway: GatewayDependency) -> Response:
    """Start a checkout, or repeat the answer of the key's checkout. Without a key, a random one is made."""
    return await _buy(request, gateway, None)


@router.post("/checkout/{key:path}", responses=_RESPONSES, openapi_extra=_REQUEST_BODY, summary="Press Buy, with a key")
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
        return answers.pending_response(checkout_key, headers)
    if wants_page(request):
        return RedirectResponse(f"/orders/{order.order_id}/view", 303, headers)
    headers["Idempotent-Replayed"] = "true"
    return answers.checkout_response(order, accept=request.headers.get("accept", ""), is_form=False, headers=headers)


async def _buy(request: Request, gateway: Gateway, path_key: str | None) -> Response:
    client = gateway.limits.client_of(request)
    with contextlib.suppress(Problem, InvalidKey):  # a bad key is told of below, and counted as well
        if key := _key(request, path_key, None):
            echo(request, _headers(key))
    gateway.limits.take(client)
    body = await request.body()
    is_form = _is_form(request, body)
    form = _parse_form(body) if is_form else {}
    key = _key(request, path_key, form.pop("key", None))
    checkout_key = key or new_checkout_key()
    request.state.form = form | {"key": checkout_key}  # for a page that tells what went wrong: the cart is kept
    headers = _headers(checkout_key)
    # From here on also where nothing but a made up key tells: should the answer be lost, it is the only way back.
    echo(request, headers)
    cart = _cart(form if is_form else body)
    wish = Buy(checkout_key, cart.lines(), cart.email, client)
    outcome = await gateway.checkouts.buy(wish, is_new_key=key is None, limits=gateway.limits)
    if outcome.is_replay:
        headers["Idempotent-Replayed"] = "true"
    if outcome.order is None:
        if is_form and wants_page(request):
            return waiting_page(request, headers)
        return answers.pending_response(checkout_key, headers)
    return answers.checkout_response(
        outcome.order, accept=request.headers.get("accept", ""), is_form=is_form, headers=headers
    )


def _headers(checkout_key: str) -> dict[str, str]:
    return {"Idempotency-Key": checkout_key, "Cache-Control": "no-store"}


def _key(request: Request, path_key: str | None, form_key: str | None) -> str | None:
    """The key given, wherever it stands; all places must agree."""
    given = {_unquoted(value) for value in request.headers.getlist("idempotency-key")}
    given |= {value for value in (path_key, form_key) if value is not None}
    if len(given) > 1:
        raise Problem(400, "contradictory-keys", "More than one checkout key was given, and they differ")
    return parse_checkout_key(given.pop()) if given else None


def _unquoted(value: str) -> str:
    """The IETF draft of the header quotes the key, Stripe's practice does not; quotes are no part of a key."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _is_form(request: Request, body: bytes) -> bool:
    """`curl -d '{…}'` says "form" and sends JSON, `curl -d ''` sends nothing: believe the body."""
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    return content_type == _FORM and not body.lstrip().startswith(b"{") and bool(body.strip())


def _parse_form(body: bytes) -> dict[str, Any]:
    """Repeated `sku` and `quantity` fields, perhaps with the price that was seen, and `email` and `key` once."""
    try:
        # However many fields, for the shop's own form names every product it shows: its bytes are bounded.
        fields = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(body), errors="strict")
    except ValueError:
        raise Problem(400, "malformed-form", "The body is not a valid form") from None
    columns = {name: fields.pop(name) for name in ("sku", "quantity", *_PRICE) if name in fields}
    fields.pop("q", None)  # what the shop's page was searched for: its form has it for the buttons to other pages
    form: dict[str, Any] = {name: values[0] for name, values in fields.items()}
    if columns:
        skus = columns.setdefault("sku", [])
        columns.setdefault("quantity", ["1"] * len(skus))
        if len({len(values) for values in columns.values()}) > 1:
            told = "sku and quantity must come in pairs, and with a price all or none"
            raise Problem(422, "invalid-request", "The request is not valid", told)
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        # The shop's form names every product it shows: those left at 0 are not wanted, unless that leaves nothing.
        wanted = [row for row in rows if row["quantity"].strip() not in ("", "0")] or rows[:1]
        form["items"] = [{name: _number(name, text) for name, text in row.items()} for row in wanted]
    if form.get("email") == "":
        del form["email"]
    return form


def _number(name: str, text: str) -> int | str:
    """A form knows only text: digits are a number here, anything else is left to be refused by name."""
    is_number = name in ("quantity", "expected_unit_amount") and text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if is_number else text


def _cart(source: bytes | dict[str, Any]) -> CheckoutRequest:
    try:
        if isinstance(source, dict):
            return CheckoutRequest.model_validate(source)
        if not source.strip():
            return CheckoutRequest()
        cart = CheckoutRequest.model_validate_json(source)
        # RFC 7493 (I-JSON) forbids repeated names: readers differ on which one counts, and a cart has one meaning.
        json.loads(source, object_pairs_hook=_refuse_repeats)
        return cart
    except RepeatedName:
        raise malformed_json("A name occurs twice") from None
    except ValidationError as error:
        raise invalid_fields(error) from None


class RepeatedName(Exception):
    """A JSON object says something twice."""


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise RepeatedName
