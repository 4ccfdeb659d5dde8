"""The parameters of `POST /v1/checkout/sessions`, checked as Stripe checks them
(docs.stripe.com/api/checkout/sessions/create). What passes is a `Session` ready to be stored."""

import re
import time
from typing import Any

from payment_mock.domain import form, ids
from payment_mock.domain.errors import invalid_request, missing, unknown
from payment_mock.domain.money import MOST_OF_ALL, check_total
from payment_mock.domain.session import LineItem, Session
from payment_mock.domain.urls import check_url

HALF_HOUR, DAY = 1800, 86_400
_TOP = {
    "mode", "line_items", "success_url", "cancel_url", "client_reference_id", "metadata", "expires_at",
    "payment_method_types", "customer_email", "payment_intent_data", "expand", "locale", "submit_type",
}  # fmt: skip
_INTEGER = re.compile(r"^-?[0-9]{1,12}$")


def session_from(params: form.Params, now: float | None = None) -> Session:
    """Raises `StripeError` (400) that names the parameter."""
    refuse_unknown(params, _TOP, "")
    created = int(time.time() if now is None else now)
    if (mode := params.get("mode")) is None:
        raise missing("mode")
    if mode != "payment":
        raise invalid_request("Invalid mode: this simulator supports only payment", param="mode")
    items, currency = _line_items(params.get("line_items"))
    total = sum(item.unit_amount * item.quantity for item in items)
    check_total(total, currency)
    if "success_url" not in params:
        raise missing("success_url")
    intent_data = _hash(params, "payment_intent_data")
    refuse_unknown(intent_data, {"metadata", "description"}, "payment_intent_data")
    return Session(
        id=ids.session_id(),
        amount_total=total,
        currency=currency,
        line_items=items,
        success_url=check_url(params["success_url"], "success_url"),
        cancel_url=check_url(params["cancel_url"], "cancel_url") if "cancel_url" in params else None,
        created=created,
        expires_at=_expires_at(params, created),
        client_reference_id=_text(params, "client_reference_id", 200),
        metadata=metadata_of(params),
        payment_intent_metadata=metadata_of(intent_data, "payment_intent_data[metadata]"),
        customer_email=_email(params),
        payment_method_types=_payment_method_types(params),
    )


def refuse_unknown(params: form.Params, known: set[str], prefix: str) -> None:
    for name in params:
        if name not in known:
            raise unknown(f"{prefix}[{name}]" if prefix else name)


def integer(value: Any, param: str, low: int, high: int) -> int:
    if not isinstance(value, str) or not _INTEGER.match(value):
        raise invalid_request(f"Invalid integer: {value}", param=param, code="parameter_invalid_integer")
    number = int(value)
    if number < low:
        raise invalid_request(f"This value must be greater than or equal to {low}.", param=param)
    if number > high:
        raise invalid_request(f"This value must be less than or equal to {high}.", param=param)
    return number


def metadata_of(params: form.Params, param: str = "metadata") -> dict[str, str]:
    """At most 50 keys of 40 characters with values of 500 (docs.stripe.com/api/metadata)."""
    metadata = params.get("metadata", {})
    if metadata == "":
        return {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise invalid_request("Invalid hash", param=param)
    if len(metadata) > 50:
        raise invalid_request("You can specify up to 50 keys in metadata.", param=param)
    for key, value in metadata.items():
        if len(key) > 40 or len(value) > 500:
            raise invalid_request("Metadata keys hold up to 40 characters, values up to 500.", param=f"{param}[{key}]")
    return {key: value for key, value in metadata.items() if value != ""}


def _line_items(given: Any) -> tuple[tuple[LineItem, ...], str]:
    if not given:
        raise missing("line_items")
    if not isinstance(given, dict):
        raise invalid_request("Invalid array", param="line_items")
    items: list[LineItem] = []
    currencies: set[str] = set()
    for name, item in form.indexed(given, "line_items"):
        if not isinstance(item, dict):
            raise invalid_request("Invalid hash", param=name)
        refuse_unknown(item, {"price_data", "quantity"}, name)
        if "quantity" not in item:
            raise missing(f"{name}[quantity]")
        line, currency = _priced(_hash(item, "price_data", name), f"{name}[price_data]", item["quantity"], name)
        items.append(line)
        currencies.add(currency)
    if not items:
        raise missing("line_items")
    if len(items) > 100:
        raise invalid_request("There can be at most 100 line items.", param="line_items")
    if len(currencies) > 1:
        raise invalid_request("All line items must have the same currency.", param="line_items")
    return tuple(items), currencies.pop()


def _priced(price: form.Params, name: str, quantity: Any, item_name: str) -> tuple[LineItem, str]:
    refuse_unknown(price, {"currency", "unit_amount", "product_data", "tax_behavior"}, name)
    for required in ("currency", "unit_amount", "product_data"):
        if required not in price:
            raise missing(f"{name}[{required}]")
    product = _hash(price, "product_data", name)
    refuse_unknown(product, {"name", "description", "images", "metadata"}, f"{name}[product_data]")
    label = _text(product, "name", 250, f"{name}[product_data]")
    if not label:
        raise missing(f"{name}[product_data][name]")
    currency = price["currency"]
    if not isinstance(currency, str) or not re.match(r"^[a-z]{3}\Z", currency.lower()):
        raise invalid_request(f"Invalid currency: {currency}", param=f"{name}[currency]")
    line = LineItem(
        description=label,
        unit_amount=integer(price["unit_amount"], f"{name}[unit_amount]", 0, MOST_OF_ALL),
        quantity=integer(quantity, f"{item_name}[quantity]", 1, 999_999),
    )
    return line, currency.lower()


def _expires_at(params: form.Params, created: int) -> int:
    """From 30 minutes to 24 hours after creation; 24 hours when not given."""
    if "expires_at" not in params:
        return created + DAY
    expires_at = integer(params["expires_at"], "expires_at", 0, 10**11)
    if expires_at < created + HALF_HOUR:
        raise invalid_request(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.", param="expires_at"
        )
    if expires_at > created + DAY:
        raise invalid_request(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.", param="expires_at"
        )
    return expires_at


def _payment_method_types(params: form.Params) -> tuple[str, ...]:
    types = form.strings(params, "payment_method_types")
    for number, name in enumerate(types):
        if name not in ("card", "link"):
            raise invalid_request(
                f"Invalid payment_method_types[{number}]: must be one of card or link",
                param=f"payment_method_types[{number}]",
            )
    return tuple(types) or ("card",)


def _email(params: form.Params) -> str | None:
    email = _text(params, "customer_email", 800)
    if email and ("@" not in email.strip("@") or " " in email):
        raise invalid_request(f"Invalid email address: {email}", param="customer_email", code="email_invalid")
    return email or None


def _text(params: form.Params, name: str, limit: int, prefix: str = "") -> str | None:
    value = params.get(name)
    if value is None:
        return None
    param = f"{prefix}[{name}]" if prefix else name
    if not isinstance(value, str):
        raise invalid_request("Invalid string", param=param)
    if len(value) > limit:
        raise invalid_request(f"Invalid string: must be at most {limit} characters", param=param)
    return value


def _hash(params: form.Params, name: str, prefix: str = "") -> form.Params:
    value = params.get(name, {})
    if not isinstance(value, dict):
        raise invalid_request("Invalid hash", param=f"{prefix}[{name}]" if prefix else name)
    return value
