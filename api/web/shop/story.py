"""An order as steps: reserved → awaiting payment → paid → fulfilled → dispatched, or why it did not get there."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from api.schemas import OrderOut, TimelineEvent
from api.web.rendering import format_money
from checkout.money import RefundState
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
    OrderStatus.PAYMENT_PROCESSING: "Your bank takes some days to make the payment. You need do nothing, and do not "
    "pay again: everything in your order stays reserved for you until it arrives.",
    OrderStatus.FULFILLED: "Thank you. Your payment has arrived, once, and your things are yours.",
    OrderStatus.DISPATCHED: "Thank you. Your parcel has left our hands.",
    OrderStatus.REJECTED: "Nothing was charged and nothing stays reserved.",
    OrderStatus.CANCELLED: "Nothing was charged, and what was reserved is back on the shelf.",
    OrderStatus.REFUNDED: "The whole amount was given back to you. Your bank may take some days to show it.",
}
_REFUND_TRIED_AGAIN = "What was sent back did not reach you. The shop knows, and it is tried again by itself."
_REFUND_DUE = (
    "A payment came all the same, after the order had ended. The whole amount is being given back to you, "
    "and what was reserved is back on the shelf."
)
_HELD = "Paid, and held back for now"
_ALL_ON_ITS_WAY_BACK = "Your money is on its way back"
_DISPUTED = "Your bank disputes the payment: until it has decided, nothing more is sent or given back."
_REFUNDS = {
    RefundState.PENDING: ("on its way back", "wait"),
    RefundState.SUCCEEDED: ("given back", "good"),
    RefundState.FAILED: ("did not reach you; it is tried again", "bad"),
    RefundState.CANCELLED: ("did not reach you; it is tried again", "bad"),
}
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
_WAITS = (OrderStatus.AWAITING_PAYMENT, OrderStatus.PAYMENT_PROCESSING)
# Title, text while it is the one now, text once it is done.
_STEPS = {
    "reserved": ("Reserved", "Your things are being set aside.", "Your things are set aside for you."),
    "awaiting_payment": (
        "Awaiting payment",
        "Pay at the payment service; we wait here.",
        "The payment page was opened.",
    ),
    "payment_processing": ("On its way", "Your bank is making the payment.", "Your bank was told to pay."),
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
class GivenBack:
    """A line of the receipt: minor units, how it stands, and why if the shop has said so."""

    amount: int
    stands: Badge
    reason: str | None
    at: datetime


@dataclass(frozen=True)
class Story:
    """`is_over`: nothing will change by itself any more. `seq`: the last event it knows of."""

    title: str
    lead: str
    steps: list[Step]
    payment: Badge
    given_back: list[GivenBack]
    seq: int
    is_over: bool
    fulfilled_at: datetime | None


def tell(order: OrderOut) -> Story:
    happened = {event.kind: event for event in order.timeline}
    is_owed = order.payment.status == "refund_due"
    goes_back = order.payment.refund_pending > 0
    goes_back_whole = order.status.is_kept and goes_back and order.payment.refund_pending == order.payment.kept
    lead = _REFUND_DUE if is_owed else _LEADS[order.status]
    if order.reason is not None:
        lead = f"{_because(order)} {lead}"
    is_tried_again = is_owed and order.status is OrderStatus.REFUNDED
    if is_tried_again:
        lead = _REFUND_TRIED_AGAIN
    title = _HELD if order.dispatch.status == "held" else _TITLES[order.status]
    return Story(
        title=_ALL_ON_ITS_WAY_BACK if goes_back_whole or is_tried_again else title,
        lead=" ".join(["" if goes_back_whole else lead, *_of_the_money(order)]).strip(),
        steps=_way(order, happened) + _end(order, happened),
        payment=_badge(order),
        given_back=[
            GivenBack(refund.amount, Badge(*_REFUNDS[refund.state]), refund.reason, refund.at)
            for refund in order.refunds
        ],
        seq=max((event.seq for event in order.timeline), default=0),
        is_over=not order.status.is_live
        and order.status is not OrderStatus.FULFILLED
        and not is_owed
        and not goes_back,
        fulfilled_at=happened["fulfilled"].at if "fulfilled" in happened else None,
    )


def _of_the_money(order: OrderOut) -> list[str]:
    """What is to be said of it beside what became of the goods; of an order that has ended that is said already."""
    if not order.status.is_kept:
        return []
    told = []
    if order.payment.refunded:
        told.append(f"{format_money(order.payment.refunded, order.currency)} of what you paid was given back to you.")
    if order.payment.refund_pending:
        amount = format_money(order.payment.refund_pending, order.currency)
        told.append(f"{amount} is on its way back to you; your bank may take some days to show it.")
    if any(dispute.is_open for dispute in order.disputes):
        told.append(_DISPUTED)
    return told


def _badge(order: OrderOut) -> Badge:
    if order.payment.status == "paid":
        if any(dispute.is_open for dispute in order.disputes):
            return Badge("disputed", "wait")
        if order.payment.refund_pending:
            return Badge("refund on its way", "wait")
        if order.payment.refunded:
            return Badge("partly refunded", "good")
        if order.payment.lost:
            return Badge("taken back by the bank", "")
    return Badge(*_PAYMENTS[order.payment.status])


def _way(order: OrderOut, happened: Mapping[str, TimelineEvent]) -> list[Step]:
    """The steps gone, the one now, and those to come; an order that has ended has none to come."""
    steps = []
    may_go_on = order.status.is_live or order.status.is_kept
    ahead: State = "now"
    for kind, (title, doing, done) in _STEPS.items():
        event = happened.get(kind)
        is_under_way = order.status in _WAITS and kind == order.status
        if event is not None and not is_under_way:
            steps.append(Step(kind, title, done, "done", event.at))
        elif may_go_on and (is_under_way or kind != OrderStatus.PAYMENT_PROCESSING):
            at = event.at if event else None
            if kind == OrderStatus.DISPATCHED and order.dispatch.status == "held":
                doing = "Held back for now."
            steps.append(Step(kind, title, doing if ahead == "now" else "", ahead, at))
            ahead = "todo"
    return steps


def _end(order: OrderOut, happened: Mapping[str, TimelineEvent]) -> list[Step]:
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
