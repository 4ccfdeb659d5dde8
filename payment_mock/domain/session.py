"""A checkout session as it is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class LineItem:
    """`unit_amount` is in minor units of the session's currency."""

    description: str
    unit_amount: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Session:
    """One row of `payments.sessions`. Only status, payment and refund fields ever change after creation."""

    id: str
    amount_total: int
    currency: str
    line_items: tuple[LineItem, ...]
    success_url: str
    cancel_url: str | None
    created: int
    expires_at: int
    client_reference_id: str | None = None
    metadata: Mapping[str, str] | None = None
    payment_intent_metadata: Mapping[str, str] | None = None
    customer_email: str | None = None
    payment_method_types: tuple[str, ...] = ("card",)
    webhook_url: str | None = None
    status: str = "open"
    payment_status: str = "unpaid"
    payment_intent: str | None = None
    charge: str | None = None
    decline_code: str | None = None
    amount_refunded: int = 0
    paid_at: int | None = None

    @property
    def order_id(self) -> str | None:
        return (self.metadata or {}).get("order_id")

    @property
    def deadline(self) -> int:
        """When the customer must have paid, in unix seconds: the provider's limit, or the shop's earlier `pay_by`."""
        pay_by = (self.metadata or {}).get("pay_by", "")
        try:
            return min(self.expires_at, int(float(pay_by)))
        except (ValueError, OverflowError):
            return self.expires_at

    @property
    def refundable(self) -> int:
        return self.amount_total - self.amount_refunded if self.payment_status == "paid" else 0


@dataclass(frozen=True, slots=True)
class Refund:
    """Money given back. `amount` is in minor units."""

    id: str
    session_id: str
    payment_intent: str
    charge: str
    amount: int
    currency: str
    reason: str | None
    metadata: Mapping[str, str]
    created: int


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event: `payload` is the JSON text that is signed and sent."""

    id: str
    type: str
    payload: str


def timestamp(at: datetime) -> int:
    return int(at.timestamp())


def line_items_of(stored: list[Any]) -> tuple[LineItem, ...]:
    return tuple(LineItem(item["description"], item["unit_amount"], item["quantity"]) for item in stored)
