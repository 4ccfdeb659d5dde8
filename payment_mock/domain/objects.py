"""What the service remembers of a payment: a checkout session, its refunds, its disputes. Money is minor units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from payment_mock.domain.methods import METHODS


class LineItem(TypedDict):
    description: str
    unit_amount: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Session:
    """One row of `payments.sessions`. Times are unix seconds. What is below `version` may change after creation, each
    time together with it, so that whoever changes what he has read changes it once."""

    id: str
    amount_total: int
    currency: str
    line_items: Sequence[LineItem]
    success_url: str
    cancel_url: str | None
    created: int
    expires_at: int
    client_reference_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    payment_intent_metadata: Mapping[str, str] = field(default_factory=dict)
    customer_email: str | None = None
    payment_method_types: Sequence[str] = ("card",)
    webhook_url: str | None = None

    version: int = 0
    status: str = "open"
    payment_status: str = "unpaid"
    payment_method: str | None = None
    payment_intent: str | None = None
    charge: str | None = None
    decline_code: str | None = None
    amount_refunded: int = 0
    dispute_status: str | None = None
    paid_at: int | None = None

    @property
    def order_id(self) -> str | None:
        return self.metadata.get("order_id")

    @property
    def deadline(self) -> int:
        """When the customer must have paid: the provider's limit, or the shop's earlier `pay_by`."""
        try:
            return min(self.expires_at, int(float(self.metadata.get("pay_by", ""))))
        except (ValueError, OverflowError):
            return self.expires_at

    @property
    def is_paid(self) -> bool:
        return self.payment_status == "paid"

    @property
    def left(self) -> int:
        """What of it is not refunded."""
        return self.amount_total - self.amount_refunded

    def takes(self, token: object) -> bool:
        """Whether a customer may pay with this test payment method."""
        return isinstance(token, str) and token in METHODS and METHODS[token].type in self.payment_method_types

    @property
    def is_processing(self) -> bool:
        """Complete, and the money is on its way: it takes days, and may yet fail."""
        return self.status == "complete" and not self.is_paid and self.decline_code is None


@dataclass(frozen=True, slots=True)
class Refund:
    """One row of `payments.refunds`."""

    id: str
    session_id: str
    payment_intent: str | None
    charge: str | None
    amount: int
    currency: str
    reason: str | None
    metadata: Mapping[str, str]
    created: int
    status: str
    failure_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Dispute:
    """One row of `payments.disputes`. `due_by`: until when evidence is heard, unix seconds."""

    id: str
    session_id: str
    payment_intent: str | None
    charge: str | None
    amount: int
    currency: str
    reason: str
    status: str
    created: int
    due_by: int
    has_evidence: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event: `payload` is the JSON text that is signed and sent."""

    id: str
    type: str
    payload: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger: what moved money, how much of it, and how: `charge`, `refund`, `refund_failure`, `dispute`,
    `dispute_reversal`."""

    id: str
    kind: str
    amount: int


@dataclass(frozen=True, slots=True)
class Later:
    """What is to become of something (a session, a refund, a dispute) after a while, by itself."""

    subject: str
    status: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a payment becomes, with all that belongs to that and is stored with it or not at all. `in_time`: only while
    the session's time is not over."""

    session: Session
    events: Sequence[Event] = ()
    entries: Sequence[Entry] = ()
    refund: Refund | None = None
    dispute: Dispute | None = None
    later: Sequence[Later] = ()
    in_time: bool = False


@dataclass(frozen=True)
class Page:
    """Which part of a list: `limit` objects that come after the one with the id `after`, created from `since` to before
    `until` (unix seconds)."""

    limit: int
    after: str | None = None
    since: int | None = None
    until: int | None = None
