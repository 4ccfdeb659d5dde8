"""What the service remembers of a payment: a checkout session, its refunds, its disputes. Money is minor units, times
are unix seconds."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from payment_mock.domain import errors
from payment_mock.domain.methods import METHODS, offered, takes
from payment_mock.domain.money import check_total
from payment_mock.domain.params import NewSession

Json = dict[str, Any]

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# Byte → letter. 256 is no multiple of 62, so eight letters are a little likelier: still > 5.9 bits a letter.
_LETTERS = bytes(_ALPHABET[byte % 62] for byte in range(256))
_SESSION = "cs_test_a1"
_HALF_HOUR, _DAY = 1800, 86_400
_AS_GIVEN = {"success_url", "cancel_url", "client_reference_id", "metadata", "customer_email"}


def new_id(prefix: str, length: int = 24) -> str:
    return prefix + os.urandom(length).translate(_LETTERS).decode()


def session_id() -> str:
    return new_id(_SESSION, 32)


def id_of_its(prefix: str, session: str) -> str:
    """A session's payment intent (`pi_3`) and charge (`ch_3`) share its random part, as Stripe's do: so the intent is
    known before it exists, and two racing attempts cannot make two of them."""
    return prefix + session.removeprefix(_SESSION)[:24]


class LineItem(TypedDict):
    description: str
    unit_amount: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Session:
    """One row of `payments.sessions`. What is below `version` may change after creation, each time together with it, so
    that whoever changes what he has read changes it once."""

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
    def names(self) -> Json:
        """What fault rules know it by."""
        order_id = self.metadata.get("order_id")
        return {"session_id": self.id, "client_reference_id": self.client_reference_id, "order_id": order_id}

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
    def is_processing(self) -> bool:
        """Complete, and the money is on its way: it takes days, and may yet fail."""
        return self.status == "complete" and not self.is_paid and self.decline_code is None

    @property
    def received(self) -> int:
        return self.amount_total if self.is_paid else 0

    @property
    def left(self) -> int:
        """What of it is not refunded."""
        return self.amount_total - self.amount_refunded

    def takes(self, token: object) -> bool:
        """Whether a customer may pay with this test payment method."""
        return isinstance(token, str) and token in METHODS and METHODS[token].type in self.payment_method_types


@dataclass(frozen=True, slots=True)
class Opening:
    """A session that is to be opened, and what of it the answer is to show whole."""

    session: Session
    expand: Sequence[str] = ()


def session_of(new: NewSession, now: float | None = None) -> Session:
    """The session that Stripe's parameters describe. Raises `StripeError` (400) that names the parameter."""
    currencies = {item.price_data.currency for item in new.line_items}
    if len(currencies) > 1:
        raise errors.invalid_request("All line items must have the same currency.", param="line_items")
    created, currency = int(time.time() if now is None else now), currencies.pop()
    for type_ in new.payment_method_types:
        if not takes(type_, currency):
            told = f"The payment method `{type_}` cannot be used with the currency {currency}."
            raise errors.invalid_request(told, param="payment_method_types")
    expires_at = created + _DAY if new.expires_at is None else new.expires_at
    if not created + _HALF_HOUR <= expires_at <= created + _DAY:
        limit = "at least 30 minutes" if expires_at < created + _HALF_HOUR else "less than 24 hours"
        told = f"The `expires_at` timestamp must be {limit} from Checkout Session creation."
        raise errors.invalid_request(told, param="expires_at")
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
        created=created,
        expires_at=expires_at,
        payment_intent_metadata=new.payment_intent_data.metadata,
        payment_method_types=new.payment_method_types or offered(currency),
        **new.model_dump(include=_AS_GIVEN),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """Money of a session's charge that goes back, or may."""

    id: str
    session_id: str
    payment_intent: str | None
    charge: str | None
    amount: int
    currency: str
    status: str
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund(Reversal):
    """One row of `payments.refunds`."""

    reason: str | None
    metadata: Mapping[str, str]
    failure_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute(Reversal):
    """One row of `payments.disputes`. `due_by`: until when evidence is heard."""

    reason: str
    due_by: int
    has_evidence: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger: what moved money (`charge`, `refund`, `refund_failure`, `dispute`, `dispute_reversal`)."""

    id: str
    kind: str
    amount: int


@dataclass(frozen=True, slots=True)
class Change:
    """What a payment becomes, with all that belongs to that and is stored with it or not at all.

    `events` as they are sent. `later`: what is to become of a session, a refund or a dispute after a while, by itself,
    by its id. `in_time`: only while the session's time is not over.
    """

    session: Session
    events: Sequence[Json] = ()
    entries: Sequence[Entry] = ()
    reversal: Refund | Dispute | None = None
    later: Mapping[str, str] = field(default_factory=dict)
    in_time: bool = False
