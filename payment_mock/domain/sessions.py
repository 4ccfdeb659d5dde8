"""From what a client asks for to the session that is stored, and the addresses that a session is given."""

import time
from urllib.parse import quote, urlsplit

from payment_mock.domain import methods
from payment_mock.domain.errors import invalid_request
from payment_mock.domain.money import check_total
from payment_mock.domain.objects import LineItem, Session, session_id
from payment_mock.domain.params import NewSession, is_address

_HALF_HOUR, _DAY = 1800, 86_400
_PLACEHOLDER = "{CHECKOUT_SESSION_ID}"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def session_of(new: NewSession, now: float | None = None) -> Session:
    """The session that Stripe's parameters describe. Raises `StripeError` (400) that names the parameter."""
    currencies = {item.price_data.currency for item in new.line_items}
    if len(currencies) > 1:
        raise invalid_request("All line items must have the same currency.", param="line_items")
    created, currency = int(time.time() if now is None else now), currencies.pop()
    for type_ in new.payment_method_types:
        if not methods.takes(type_, currency):
            told = f"The payment method `{type_}` cannot be used with the currency {currency}."
            raise invalid_request(told, param="payment_method_types")
    expires_at = created + _DAY if new.expires_at is None else new.expires_at
    if not created + _HALF_HOUR <= expires_at <= created + _DAY:
        limit = "at least 30 minutes" if expires_at < created + _HALF_HOUR else "less than 24 hours"
        told = f"The `expires_at` timestamp must be {limit} from Checkout Session creation."
        raise invalid_request(told, param="expires_at")
    items: list[LineItem] = [
        {"description": data.product_data.name, "unit_amount": data.unit_amount, "quantity": item.quantity}
        for item in new.line_items
        for data in [item.price_data]
    ]
    total = sum(item["unit_amount"] * item["quantity"] for item in items)
    check_total(total, currency)
    return Session(
        id=session_id(),
        amount_total=total,
        currency=currency,
        line_items=items,
        success_url=new.success_url,
        cancel_url=new.cancel_url,
        created=created,
        expires_at=expires_at,
        client_reference_id=new.client_reference_id,
        metadata=new.metadata,
        payment_intent_metadata=new.payment_intent_data.metadata,
        customer_email=new.customer_email,
        payment_method_types=new.payment_method_types or methods.offered(currency),
    )


def check_webhook_url(url: str, configured: str) -> str:
    """A session's own webhook address, as in the guide. Raises `StripeError` (400).

    Decision: a server that posts to any address a client names is a tool for server-side request forgery. So only
    the configured endpoint and loopback hosts (the guide's own use) pass, and redirects are never followed.
    """
    if not is_address(url):
        raise invalid_request("Not a valid URL", param="webhook", code="url_invalid")
    if url == configured or urlsplit(url).hostname in _LOOPBACK:
        return url
    raise invalid_request("The webhook must be on this machine or be the configured endpoint.", param="webhook")


def fill_in(url: str, session_id: str) -> str:
    """Replace Stripe's `{CHECKOUT_SESSION_ID}` placeholder (docs.stripe.com/payments/checkout/custom-success-page)."""
    return url.replace(_PLACEHOLDER, quote(session_id, safe=""))
