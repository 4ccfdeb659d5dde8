"""What crosses a process boundary: inputs and results of workflows and activities. Durations are seconds.

These shapes are written into Temporal's histories, with those of `checkout.orders`, `checkout.sessions` and
`checkout.payments`: fields may be added with a default, never renamed or removed, as long as a recorded history uses
them (`tests/replay` holds that).
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from checkout.ids import WHOLE_REFUND
from checkout.orders import CartLine, Order, OrderStatus, Reason
from checkout.payments import Refund, RefundLine
from checkout.sessions import ProviderSession


@dataclass(frozen=True)
class CheckoutInput:
    """Starts a checkout. `request_id` names the HTTP request that started it, to tell a first answer from a replay.

    `order_id` is what the order will be called if this is the first run of its key; the row under the key decides.
    """

    checkout_key: str
    lines: list[CartLine]
    fingerprint: str
    payment_timeout: float
    email: str | None = None
    request_id: str = ""
    client: str | None = None
    order_id: str | None = None


@dataclass(frozen=True)
class OpenOrderInput:
    checkout_key: str
    lines: list[CartLine]
    fingerprint: str
    opened_at: datetime
    expires_at: datetime
    email: str | None = None
    client: str | None = None
    order_id: str | None = None


@dataclass(frozen=True)
class Opened:
    """The order under the key. `is_new`: this call opened it; else who did may have got further with it. `refusal`:
    what the provider said that will give it no session."""

    order: Order
    is_new: bool
    refusal: str | None = None


@dataclass(frozen=True)
class AskInput:
    """Ask the provider about the session of a live order. `closing` says why the order is to end, if it is."""

    order: Order
    closing: Reason | None = None


@dataclass(frozen=True)
class Answer:
    """What the provider said, and the order as it is since: fulfilled, if that is what follows."""

    session: ProviderSession
    order: Order


@dataclass(frozen=True)
class PaidInput:
    """An order whose payment has come, or has been ordered and takes days. None: the provider does not name it."""

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
    """What to settle: a session at the provider, an order of ours, or both; or a payment whose sale is over."""

    session_id: str | None = None
    order_id: str | None = None
    payment_intent_id: str | None = None

    @property
    def subject(self) -> str:
        """What names the workflow."""
        subject = self.payment_intent_id or self.session_id or self.order_id
        assert subject is not None, "a settlement is of a payment, a session or an order"
        return subject

    @classmethod
    def of(cls, order: Order) -> "SettlementInput":
        return cls(order.session.session_id if order.session else None, order.order_id)


@dataclass(frozen=True)
class RefundOrderInput:
    """An operator gives money of a fulfilled or dispatched order back: `amount` minor units, or what the `lines` cost,
    or, with neither, all that is left. `key` stands for this one wish.

    `restock`: whether the goods of the lines (of a whole refund: all that have not come back) return to stock; None:
    they do. A refund by amount moves no goods. `reason` is the operator's own words.
    """

    order_id: str
    key: str = WHOLE_REFUND
    amount: int | None = None
    lines: list[RefundLine] | None = None
    restock: bool | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Followed:
    """What the provider's word on a payment led to: the order as it now is, and the refunds that it has to be asked
    for. `is_early`: the order does not know of the payment yet."""

    order: Order | None = None
    to_make: list[Refund] = field(default_factory=list)
    is_early: bool = False


@dataclass(frozen=True)
class GiveUpInput:
    """A refund that the provider refuses, and what it said."""

    refund: Refund
    why: str


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
    payments_looked_at: int = 0
