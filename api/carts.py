"""What a customer sends: a checkout key, wherever it stands, and a cart, as JSON or as a browser's form."""

import json
from typing import Annotated, Any
from urllib.parse import parse_qs

from email_validator import EmailNotValidError, validate_email
from fastapi import Request
from pydantic import AfterValidator, BaseModel, Field, StrictInt, StringConstraints, ValidationError, WithJsonSchema

from api.catalogue import Currency, Sku
from api.problems import Problem, invalid_fields, malformed_json
from checkout.ids import parse_checkout_key
from checkout.orders import CartLine

MAX_LINES = 50
MAX_QUANTITY = 99
FORM = "application/x-www-form-urlencoded"
_NUMBERS = ("quantity", "expected_unit_amount")
_COLUMNS = ("sku", *_NUMBERS, "expected_currency")

Amount = Annotated[StrictInt, Field(ge=1, le=2**53)]
Quantity = Annotated[StrictInt, Field(ge=1, le=MAX_QUANTITY)]


class CartItem(BaseModel, extra="forbid"):
    """`expected_unit_amount` and `expected_currency` are the price the buyer saw (`GET /products`). They set none: when
    it is another by now, the answer is 409 `price-changed`, with the new one."""

    sku: Sku
    quantity: Quantity
    expected_unit_amount: Amount | None = None
    expected_currency: Currency | None = None


def _each_sku_once(items: list[CartItem]) -> list[CartItem]:
    seen: set[str] = set()
    for item in items:
        if item.sku in seen:
            raise ValueError(f"{item.sku} is listed twice; add the quantities up")
        seen.add(item.sku)
    return items


def _email(text: str) -> str:
    """The address in one spelling (its domain in lower case), for the order's fingerprint depends on it."""
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None


Items = Annotated[list[CartItem], Field(min_length=1, max_length=MAX_LINES), AfterValidator(_each_sku_once)]
Email = Annotated[
    str,
    StringConstraints(strict=True, max_length=254),
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]


class CheckoutRequest(
    BaseModel, extra="forbid", json_schema_extra={"example": {"items": [{"sku": "pen", "quantity": 2}]}}
):
    """A cart. Without a body it is one `pen`. Prices are the catalogue's."""

    items: Items = [CartItem(sku="pen", quantity=1)]
    email: Email | None = None

    def lines(self) -> list[CartLine]:
        return [CartLine(**dict(item)) for item in self.items]


# How OpenAPI describes a cart: its body is read by hand.
_LISTS = {"sku": "string", "quantity": "integer", "expected_unit_amount": "integer", "expected_currency": "string"}
_FIELDS = {name: {"type": "array", "items": {"type": kind}} for name, kind in _LISTS.items()}
_FIELDS |= {"email": {"type": "string"}, "key": {"type": "string"}}
REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/CheckoutRequest"}},
            FORM: {"schema": {"type": "object", "properties": _FIELDS}},
        },
    },
}


def key_of(request: Request, path_key: str | None = None, form_key: str | None = None) -> str | None:
    """The checkout key of path, form or header; None without one. Raises a 400 `Problem` if two differ, `InvalidKey`
    for one that is malformed."""
    given = {_unquoted(value) for value in request.headers.getlist("idempotency-key")}
    given |= {value for value in (path_key, form_key) if value is not None}
    if len(given) > 1:
        raise Problem(400, "contradictory-keys", "More than one checkout key was given, and they differ")
    return parse_checkout_key(given.pop()) if given else None


def _unquoted(value: str) -> str:
    """The IETF draft of the header quotes the key, Stripe's practice does not; quotes are no part of a key."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def is_form_of(request: Request, body: bytes) -> bool:
    """Whether the body is a form: its type says so, and it is neither JSON (`curl -d '{…}'` calls that a form) nor
    empty."""
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    return content_type == FORM and not body.lstrip().startswith(b"{") and bool(body.strip())


def parse_form(body: bytes) -> dict[str, Any]:
    """A form's fields, shaped as JSON has them: repeated `sku` and `quantity`, perhaps with the price that was seen,
    and `email` and `key` once. Raises a `Problem` for what is no form, or whose columns differ in length."""
    try:
        # However many fields, for the shop's own form names every product it shows: its bytes are bounded.
        fields = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(body), errors="strict")
    except ValueError:
        raise Problem(400, "malformed-form", "The body is not a valid form") from None
    columns = {name: fields.pop(name) for name in _COLUMNS if name in fields}
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
    """A form has only text: digits become a number; anything else stays text, for the model to refuse by name."""
    return int(text) if name in _NUMBERS and text.isascii() and text.isdigit() and len(text) < 20 else text


def parse_cart(source: bytes | dict[str, Any]) -> CheckoutRequest:
    """The cart of a JSON body or of a parsed form; an empty body is the guide's cart, one pen. Raises a `Problem` that
    names the wrong fields."""
    try:
        if isinstance(source, dict):
            return CheckoutRequest.model_validate(source)
        if not source.strip():
            return CheckoutRequest()
        cart = CheckoutRequest.model_validate_json(source)
    except ValidationError as error:
        raise invalid_fields(error) from None
    # RFC 7493 (I-JSON) forbids repeated names: readers differ on which one counts, and a cart has one meaning.
    json.loads(source, object_pairs_hook=_refuse_repeats)
    return cart


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise malformed_json("A name occurs twice")
