"""The order's vocabulary: its states, why it ended, and what is known of it without any personal data.

Amounts are integer minor units of `currency` (lower-case ISO 4217), instants aware UTC.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from checkout.sessions import PaymentSession


class OrderStatus(StrEnum):
    """`pending → awaiting_payment → (payment_processing →) fulfilled → dispatched`, or one of the three other ends."""

    PENDING = "pending"
    AWAITING_PAYMENT = "awaiting_payment"
    PAYMENT_PROCESSING = "payment_processing"
    FULFILLED = "fulfilled"
    DISPATCHED = "dispatched"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"

    @property
    def is_live(self) -> bool:
        """Still undecided: it holds stock and may yet be paid."""
        return self in LIVE

    @property
    def is_open(self) -> bool:
        """The customer can still pay it or give it up: no payment is under way, which takes a bank days."""
        return self.is_live and self is not OrderStatus.PAYMENT_PROCESSING

    @property
    def is_kept(self) -> bool:
        """Paid, and the money is ours to keep: its stock is consumed."""
        return self in (OrderStatus.FULFILLED, OrderStatus.DISPATCHED)


LIVE = (OrderStatus.PENDING, OrderStatus.AWAITING_PAYMENT, OrderStatus.PAYMENT_PROCESSING)


class Reason(StrEnum):
    """Why an order ended without fulfilment."""

    OUT_OF_STOCK = "out_of_stock"
    WITHDRAWN = "withdrawn"
    PAYMENT_UNAVAILABLE = "payment_unavailable"
    CUSTOMER = "customer"
    TIMEOUT = "timeout"
    OPERATOR = "operator"
    LATE_PAYMENT = "late_payment"
    PAYMENT_MISMATCH = "payment_mismatch"
    CANNOT_FULFIL = "cannot_fulfil"
    PAYMENT_FAILED = "payment_failed"


@dataclass(frozen=True)
class CartLine:
    """What its buyer expects to pay for one, if that was told, sets no price: an order at another one is not opened."""

    sku: str
    quantity: int
    expected_unit_amount: int | None = None
    expected_currency: str | None = None


@dataclass(frozen=True)
class Order:
    """An order as the workflow sees it: no personal data, for it is written into the history."""

    order_id: str
    checkout_key: str
    fingerprint: str
    status: OrderStatus
    amount_total: int
    currency: str
    created_at: datetime
    expires_at: datetime
    reason: Reason | None = None
    missing_skus: list[str] | None = None
    session: PaymentSession | None = None
    dispatch_due_at: datetime | None = None
    payment_intent_id: str | None = None
    processing_until: datetime | None = None

    @property
    def deadline(self) -> datetime:
        """When it ends without money: the time to pay, or, once a payment is under way, the time it may take."""
        return self.processing_until or self.expires_at

    def owns(self, session_id: str) -> bool:
        """Whether it is the session that the order recorded as its own."""
        return self.session is not None and self.session.session_id == session_id


def cart_fingerprint(lines: Iterable[CartLine], email: str | None) -> str:
    """What makes two requests with one key the same: the cart, in whatever order it is written, and the email. SHA-256,
    as 64 hex digits."""
    canonical = json.dumps(
        {"lines": sorted([line.sku, line.quantity] for line in lines), "email": email},
        separators=(",", ":"),
        sort_keys=True,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()
