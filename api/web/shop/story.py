"""An order as steps: reserved → awaiting payment → paid → fulfilled → dispatched, or why it did not get there."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from api.schemas import OrderOut, TimelineEvent
from checkout.orders import OrderStatus, Reason

State = Literal["done", "now", "todo", "failed", "back"]

_TITLES = {
    OrderStatus.PENDING: "Setting your things aside",
    OrderStatus.AWAITING_PAYMENT: "Waiting for your payment",
    OrderStatus.PAYMENT_PROCESSING: "Your payment is on its way",
    OrderStatus.FULFILLED: "Paid, and being packed",
    OrderStatus.DISPATCHED: "On its way to you",
    OrderStatus.REJECTED: "This order could not be taken",
    OrderStatus.CANCELLED: "This order was cancelled",
    OrderStatus.REFUNDED: "Your money was given back",
}
_LEADS = {
    OrderStatus.PENDING: "Your things are reserved. The payment page opens in a moment.",
    OrderStatus.AWAITING_PAYMENT: "Everything in your order is reserved for you until the time to pay is over. "
    "Nothing has been charged.",
    OrderStatus.PAYMENT_PROCESSING: "Your bank is making the payment, which may take some days. Everything in your "
    "order stays reserved for you, and there is nothing more to do.",
    OrderStatus.FULFILLED: "Thank you. Your payment has arrived, once, and your things are yours.",
    OrderStatus.DISPATCHED: "Thank you. Your parcel has left our hands.",
    OrderStatus.REJECTED: "Nothing was charged and nothing stays reserved.",
    OrderStatus.CANCELLED: "Nothing was charged, and what was reserved is back on the shelf.",
    OrderStatus.REFUNDED: "The whole amount is on its way back to you.",
}
_REFUND_DUE = (
    "A payment came all the same, after the order had ended. The whole amount is being given back to you, "
    "and what was reserved is back on the shelf."
)
_REASONS = {
    Reason.OUT_OF_STOCK: "Not enough was left in stock.",
    Reason.WITHDRAWN: "It is no longer sold.",
    Reason.PAYMENT_UNAVAILABLE: "The payment service would not open a payment.",
    Reason.CUSTOMER: "You cancelled it.",
    Reason.TIMEOUT: "The time to pay was over.",
    Reason.OPERATOR: "The shop did this for you.",
    Reason.LATE_PAYMENT: "The payment came after the order had ended.",
    Reason.PAYMENT_MISMATCH: "What was paid was not what had been agreed.",
    Reason.PAYMENT_FAILED: "Your bank did not make the payment.",
    Reason.CANNOT_FULFIL: "What you paid for could no longer be had.",
}
# Title, text while it is the one now, text once it is done.
_STEPS = {
    "reserved": ("Reserved", "Your things are being set aside.", "Your things are set aside for you."),
    "awaiting_payment": (
        "Awaiting payment",
        "Pay at the payment service; we wait here.",
        "The payment page was opened.",
    ),
    "paid": ("Paid", "", "The payment service confirmed your payment."),
    "fulfilled": ("Fulfilled", "", "Everything you paid for is yours."),
    "dispatched": ("Dispatched", "Being packed.", "Handed to the carrier."),
}
_ENDS: dict[str, tuple[str, State]] = {
    "rejected": ("Not taken", "failed"),
    "cancelled": ("Cancelled", "failed"),
    "refunded": ("Refunded", "back"),
}
_PAYMENTS = {
    "none": ("none yet", ""),
    "pending": ("waiting", "wait"),
    "processing": ("on its way", "wait"),
    "paid": ("paid", "good"),
    "refund_due": ("being given back", "wait"),
    "refunded": ("refunded", "wait"),
    "not_paid": ("not charged", ""),
}


@dataclass(frozen=True)
class Step:
    kind: str
    title: str
    text: str
    state: State
    at: datetime | None = None


@dataclass(frozen=True)
class Badge:
    text: str
    tone: str


@dataclass(frozen=True)
class Story:
    """`is_over`: nothing will change by itself any more. `seq`: the last event it knows of."""

    title: str
    lead: str
    steps: list[Step]
    payment: Badge
    seq: int
    is_over: bool
    fulfilled_at: datetime | None


def tell(order: OrderOut) -> Story:
    happened = {event.kind: event for event in order.timeline}
    payment = Badge(*_PAYMENTS[order.payment.status])
    is_owed = order.payment.status == "refund_due"
    lead = _REFUND_DUE if is_owed else _LEADS[order.status]
    if order.reason is not None:
        lead = f"{_because(order)} {lead}"
    return Story(
        title=_TITLES[order.status],
        lead=lead,
        steps=_way(order, happened) + _end(order, happened),
        payment=payment,
        seq=max((event.seq for event in order.timeline), default=0),
        is_over=not order.status.is_live and order.status is not OrderStatus.FULFILLED and not is_owed,
        fulfilled_at=happened["fulfilled"].at if "fulfilled" in happened else None,
    )


def _way(order: OrderOut, happened: dict[str, TimelineEvent]) -> list[Step]:
    """The steps gone, the one now, and those to come; an order that has ended has none to come."""
    steps = []
    may_go_on = order.status.is_live or order.status.is_kept
    ahead: State = "now"
    for kind, (title, doing, done) in _STEPS.items():
        event = happened.get(kind)
        if event is not None and not (kind == "awaiting_payment" and order.status is OrderStatus.AWAITING_PAYMENT):
            steps.append(Step(kind, title, done, "done", event.at))
        elif may_go_on:
            at = event.at if event else None
            steps.append(Step(kind, title, doing if ahead == "now" else "", ahead, at))
            ahead = "todo"
    return steps


def _end(order: OrderOut, happened: dict[str, TimelineEvent]) -> list[Step]:
    steps = []
    for kind, (title, state) in _ENDS.items():
        if (event := happened.get(kind)) is not None:
            reason = event.data.get("reason")
            text = _because(order, Reason(reason)) if reason in set(Reason) else ""
            steps.append(Step(kind, title, text, state, event.at))
    return sorted(steps, key=lambda step: happened[step.kind].seq)


def _because(order: OrderOut, reason: Reason | None = None) -> str:
    reason = reason or order.reason
    if reason in (Reason.OUT_OF_STOCK, Reason.WITHDRAWN):
        missing = {sku for event in order.timeline for sku in event.data.get("skus", [])}
        names = [line.name for line in order.lines if line.sku in missing]
        if names:
            why = "Not enough left of" if reason is Reason.OUT_OF_STOCK else "No longer sold"
            return f"{why}: {', '.join(names)}."
    return _REASONS[reason] if reason else ""
