"""What crosses a process boundary: inputs and results of workflows and activities, and the order's vocabulary.

Frozen data that does nothing. These shapes are written into Temporal's histories: fields may be added with a
default, never renamed or removed, as long as a recorded history uses them (`tests/replay` holds that).
Amounts are integer minor units of `currency` (lower-case ISO 4217), durations seconds, instants aware UTC.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class OrderStatus(StrEnum):
    """`pending → awaiting_payment → fulfilled → dispatched`, or one of the three other ends."""

    PENDING = "pending"
    AWAITING_PAYMENT = "awaiting_payment"
    FULFILLED = "fulfilled"
    DISPATCHED = "dispatched"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"

    @property
    def is_live(self) -> bool:
        """Still undecided: it holds stock and may yet be paid."""
        return self in (OrderStatus.PENDING, OrderStatus.AWAITING_PAYMENT)

    @property
    def is_kept(self) -> bool:
        """Paid, and the money is ours to keep: its stock is consumed."""
        return self in (OrderStatus.FULFILLED, OrderStatus.DISPATCHED)


class Reason(StrEnum):
    """Why an order ended without fulfilment."""

    OUT_OF_STOCK = "out_of_stock"
    PAYMENT_UNAVAILABLE = "payment_unavailable"
    CUSTOMER = "customer"
    TIMEOUT = "timeout"
    OPERATOR = "operator"
    LATE_PAYMENT = "late_payment"
    PAYMENT_MISMATCH = "payment_mismatch"
    CANNOT_FULFIL = "cannot_fulfil"


@dataclass(frozen=True)
class CartLine:
    sku: str
    quantity: int


@dataclass(frozen=True)
class CheckoutInput:
    """Starts a checkout. `request_id` names the HTTP request that started it, to tell a first answer from a replay."""

    checkout_key: str
    lines: list[CartLine]
    fingerprint: str
    payment_timeout: float
    email: str | None = None
    request_id: str = ""
    client: str | None = None


@dataclass(frozen=True)
class OpenOrderInput:
    checkout_key: str
    lines: list[CartLine]
    fingerprint: str
    opened_at: datetime
    expires_at: datetime
    email: str | None = None
    client: str | None = None


@dataclass(frozen=True)
class PaymentSession:
    """A checkout session as we gave it to the customer. `simulator_url` is set only with the payment mock."""

    session_id: str
    url: str
    simulator_url: str | None = None


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

    def owns(self, session_id: str) -> bool:
        """Whether it is the session that the order recorded as its own."""
        return self.session is not None and self.session.session_id == session_id


class SessionStatus(StrEnum):
    """Stripe's `checkout.session.status`."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


@dataclass(frozen=True)
class SessionState:
    """The provider's word on a session, the only authority on whether money moved.

    A paid session whose provider names no payment intent can be fulfilled, but not given back by us. A free one
    (`no_payment_required`: complete, not paid, nothing charged) can be no session of ours as we opened it.
    """

    session_id: str
    status: SessionStatus
    paid: bool
    amount_total: int
    currency: str
    order_id: str | None = None
    payment_intent_id: str | None = None
    is_free: bool = False

    def pays_for(self, order: Order) -> bool:
        """Whether the payment is the one agreed: this order, this amount, this currency."""
        agreed = (order.order_id, order.amount_total, order.currency)
        return (self.order_id, self.amount_total, self.currency) == agreed


@dataclass(frozen=True)
class FulfilInput:
    order_id: str
    payment_intent_id: str | None


@dataclass(frozen=True)
class ReleaseInput:
    """End a live order as cancelled or rejected and return what it reserved."""

    order_id: str
    status: OrderStatus
    reason: Reason


@dataclass(frozen=True)
class RefundInput:
    """Give a payment back, once. With an order, end it as refunded; without, the payment was not ours to keep."""

    payment_intent_id: str
    reason: Reason
    order_id: str | None = None


@dataclass(frozen=True)
class FindOrderInput:
    order_id: str


@dataclass(frozen=True)
class SettlementInput:
    """What to settle: a session at the provider, an order of ours, or both."""

    session_id: str | None = None
    order_id: str | None = None

    @classmethod
    def of(cls, order: Order) -> "SettlementInput":
        return cls(order.session.session_id if order.session else None, order.order_id)


@dataclass(frozen=True)
class RefundOrderInput:
    """An operator gives the money of a fulfilled or dispatched order back."""

    order_id: str
    reason: Reason = Reason.OPERATOR


@dataclass(frozen=True)
class StartSettlementInput:
    """Have a settlement look. `because` is what an operator reads in Temporal's UI; `event_id` makes one that runs
    already look again, once for each. Without one, the customer gives the order up."""

    settlement: SettlementInput
    event_id: str | None
    because: str


@dataclass(frozen=True)
class CheckoutResult:
    order_id: str
    status: OrderStatus
    reason: Reason | None = None

    @classmethod
    def of(cls, order: Order) -> "CheckoutResult":
        return cls(order.order_id, order.status, order.reason)


class SessionProgress(StrEnum):
    OPENING = "opening"
    READY = "ready"
    CLOSED = "closed"


@dataclass(frozen=True)
class PaymentSessionView:
    """The answer to the query `payment_session`: the order as soon as there is one, and whose request began it."""

    progress: SessionProgress
    fingerprint: str
    request_id: str
    order: Order | None = None

    @classmethod
    def of(cls, checkout: CheckoutInput, order: Order | None) -> "PaymentSessionView":
        if order is None or order.status is OrderStatus.PENDING:
            progress = SessionProgress.OPENING
        else:
            progress = SessionProgress.READY if order.session else SessionProgress.CLOSED
        return cls(progress, checkout.fingerprint, checkout.request_id, order)


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found that nobody looked after."""

    live_orders: int
    settlements_started: int
    dispatched: int
