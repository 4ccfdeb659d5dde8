"""Which events a change of state makes (docs.stripe.com/api/events/types), and which of them go to the endpoint."""

import time
from collections.abc import Mapping
from typing import Any

from payment_mock.domain import ids, wire
from payment_mock.domain.session import Event, Session

# What the webhook endpoint is subscribed to. The rest is recorded for GET /v1/events only.
DELIVERED = (
    "checkout.session.completed",
    "checkout.session.expired",
    "checkout.session.async_payment_succeeded",
    "charge.refunded",
    "payment_intent.payment_failed",
)


def event(type_: str, data: Mapping[str, Any]) -> Event:
    identifier = ids.event_id()
    return Event(identifier, type_, wire.encode(wire.event_object(identifier, type_, int(time.time()), data)).decode())


def completed(session: Session, public_url: str) -> tuple[Event, ...]:
    """Paid: the session, then the payment behind it."""
    shown = wire.session_object(session, public_url)
    if session.payment_status != "paid":
        return (event("checkout.session.completed", shown),)
    return (
        event("checkout.session.completed", shown),
        event("payment_intent.succeeded", wire.payment_intent_object(session)),
        event("charge.succeeded", wire.charge_object(session)),
    )


def paid_later(session: Session, public_url: str) -> tuple[Event, ...]:
    """Money for a session that was completed unpaid (docs.stripe.com/payments/checkout/fulfill-orders)."""
    return (
        event("checkout.session.async_payment_succeeded", wire.session_object(session, public_url)),
        event("payment_intent.succeeded", wire.payment_intent_object(session)),
        event("charge.succeeded", wire.charge_object(session)),
    )


def expired(session: Session, public_url: str) -> tuple[Event, ...]:
    return (event("checkout.session.expired", wire.session_object(session, public_url)),)


def declined(session: Session) -> tuple[Event, ...]:
    return (event("payment_intent.payment_failed", wire.payment_intent_object(session)),)


def refunded(session: Session) -> tuple[Event, ...]:
    return (event("charge.refunded", wire.charge_object(session)),)
