"""Checkout sessions: what one is opened for, and what the payment service says of it, in its own words. Amounts are
integer minor units."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True)
class SessionLine:
    """One line of the payment page: as it was sold, whatever the catalogue says today."""

    name: str
    quantity: int
    unit_amount: int


@dataclass(frozen=True)
class SessionRequest:
    """What a checkout session is opened for; equal for every attempt, as the idempotency key demands."""

    order_id: str
    checkout_key: str
    currency: str
    lines: list[SessionLine]
    created_at: datetime
    pay_by: datetime
    email: str | None = None


@dataclass(frozen=True)
class PaymentSession:
    """A checkout session as we gave it to the customer. `simulator_url` is set only with the payment mock."""

    session_id: str
    url: str
    simulator_url: str | None = None


class SessionStatus(StrEnum):
    """Stripe's `checkout.session.status`."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


@dataclass(frozen=True)
class ProviderSession:
    """The provider's word on a session, the only authority on whether money moved.

    One that is complete and not paid waits for a payment that takes days, until `has_failed`. A free one
    (`no_payment_required`: nothing charged) can be no session of ours as we opened it.
    """

    session_id: str
    status: SessionStatus
    paid: bool
    amount_total: int
    currency: str
    order_id: str | None = None
    payment_intent_id: str | None = None
    is_free: bool = False
    has_failed: bool = False
