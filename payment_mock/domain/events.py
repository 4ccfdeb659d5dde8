"""Events (docs.stripe.com/api/events/types), and which of them go to the endpoint."""

import time

from payment_mock.domain import ids, wire
from payment_mock.domain.objects import Event

# What the webhook endpoint is subscribed to. The rest is recorded for GET /v1/events only.
DELIVERED = (
    "checkout.session.completed",
    "checkout.session.expired",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "payment_intent.payment_failed",
)


def event(type_: str, data: wire.Json) -> Event:
    identifier = ids.event_id()
    return Event(identifier, type_, wire.encode(wire.event_object(identifier, type_, int(time.time()), data)).decode())
