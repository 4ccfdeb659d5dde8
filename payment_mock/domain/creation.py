"""From what a client asks for to the session that is stored."""

import time
from collections.abc import Sequence
from typing import Any

from payment_mock.domain import ids, methods
from payment_mock.domain.errors import invalid_request
from payment_mock.domain.money import check_total
from payment_mock.domain.objects import LineItem, Session
from payment_mock.domain.params import NewSession

HALF_HOUR, DAY = 1800, 86_400


def session_of(new: NewSession, now: float | None = None) -> Session:
    """The session that Stripe's parameters describe. Raises `StripeError` (400) that names the parameter."""
    currencies = {item.price_data.currency for item in new.line_items}
    if len(currencies) > 1:
        raise invalid_request("All line items must have the same currency.", param="line_items")
    created, currency = int(time.time() if now is None else now), currencies.pop()
    for type_ in new.payment_method_types:
        if not methods.takes(type_, currency):
            raise invalid_request(
                f"The payment method `{type_}` cannot be used with the currency {currency}.",
                param="payment_method_types",
            )
    return new_session(
        [
            {"description": data.product_data.name, "unit_amount": data.unit_amount, "quantity": item.quantity}
            for item in new.line_items
            for data in [item.price_data]
        ],
        currency,
        created=created,
        expires_at=_expires_at(new.expires_at, created),
        success_url=new.success_url,
        cancel_url=new.cancel_url,
        client_reference_id=new.client_reference_id,
        metadata=new.metadata,
        payment_intent_metadata=new.payment_intent_data.metadata,
        customer_email=new.customer_email,
        payment_method_types=new.payment_method_types,
    )


def new_session(
    items: Sequence[LineItem], currency: str, *, payment_method_types: Sequence[str] = (), **fields: Any
) -> Session:
    """Raises `StripeError` (400) for a total that cannot be charged."""
    total = sum(item["unit_amount"] * item["quantity"] for item in items)
    check_total(total, currency)
    return Session(
        id=ids.session_id(),
        amount_total=total,
        currency=currency,
        line_items=items,
        payment_method_types=payment_method_types or methods.offered(currency),
        **fields,
    )


def _expires_at(wanted: int | None, created: int) -> int:
    """From 30 minutes to 24 hours after creation; 24 hours when not given."""
    if wanted is None:
        return created + DAY
    if created + HALF_HOUR <= wanted <= created + DAY:
        return wanted
    limit = "at least 30 minutes" if wanted < created + HALF_HOUR else "less than 24 hours"
    raise invalid_request(
        f"The `expires_at` timestamp must be {limit} from Checkout Session creation.", param="expires_at"
    )
