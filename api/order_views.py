"""An order as people see it: what its customer and an operator are told, and from rows to that, its events in words.
Amounts are integer minor units, instants RFC 3339 in UTC."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from checkout.money import money
from checkout.orders import OrderStatus, Reason
from checkout.payments import CLOSED_DISPUTES, RefundState, RequestedBy
from db.order_pages import DisputeRow, OrderDetail, RefundRow

_WORDS = {
    "reserved": "The goods were set aside",
    "awaiting_payment": "The payment page was opened",
    "payment_processing": "The bank is making the payment, which may take some days",
    "paid": "The payment arrived",
    "fulfilled": "The goods belong to the customer",
    "dispatched": "The parcel has left",
    "rejected": "The order could not be taken",
    "cancelled": "The order was cancelled",
    "refunded": "All of the money was given back",
    "refund_requested": "{amount} is to be given back",
    "refund_given_up": "{amount} is not given back: nothing has moved",
    "refund_pending": "{amount} is on its way back to the customer",
    "refund_succeeded": "{amount} was given back",
    "refund_failed": "A refund of {amount} failed: the money came back to the shop",
    "refund_cancelled": "A refund of {amount} was cancelled",
    "dispute_opened": "The customer's bank disputes {amount}",
    "dispute_updated": "The dispute over {amount} has moved on",
    "dispute_won": "The dispute over {amount} was won: the shop keeps the money",
    "dispute_lost": "The dispute over {amount} was lost: the bank has taken the money back",
    "dispute_closed": "The bank's inquiry about {amount} was closed",
}


class OrderLineOut(BaseModel):
    sku: str
    name: str
    quantity: int
    unit_amount: int


class PaymentOut(BaseModel):
    """`url` only while it can be paid. `processing_until`: how long the stock is held for a payment that takes days.
    In minor units, what was `paid`, what of it has been `refunded`, is on its way back (`refund_pending`) or was taken
    by a bank (`lost`), and what the shop has `kept`: the rest of it once all that is under way has come to its end."""

    status: Literal["none", "pending", "processing", "paid", "refund_due", "refunded", "not_paid"]
    session_id: str | None = None
    url: str | None = None
    expires_at: datetime
    processing_until: datetime | None = None
    paid: int = 0
    refunded: int = 0
    refund_pending: int = 0
    lost: int = 0
    kept: int = 0


class RefundedLine(BaseModel):
    """`restocked`: the goods are back in stock."""

    sku: str
    quantity: int
    restocked: bool


class RefundOut(BaseModel):
    """Money given back. `succeeded` is the payment service's word, and may still become `failed`: then it is tried
    again, which is another refund."""

    id: str
    amount: int
    state: RefundState
    reason: str | None = None
    at: datetime
    lines: list[RefundedLine] = []


class OperatorRefund(RefundOut):
    """`attempt` counts those of one wish. `is_taken`: the payment service has it, whatever became of it there.
    `requires_action`: the payment service waits for its customer."""

    requested_by: RequestedBy
    attempt: int
    is_taken: bool
    requires_action: bool
    failure_reason: str | None = None


class DisputeOut(BaseModel):
    """A bank asks for the money back, or has taken it; `state` is the payment service's word for how it stands."""

    id: str
    amount: int
    state: str
    is_open: bool
    at: datetime


class OperatorDispute(DisputeOut):
    """Evidence is heard until `evidence_due_by`, at the payment service."""

    reason: str
    evidence_due_by: datetime | None = None


class DispatchOut(BaseModel):
    """`progress` from 0 to 1, derived from time. `held`: not before its money is settled."""

    status: Literal["waiting", "on_its_way", "held", "dispatched", "none"]
    progress: float
    due_at: datetime | None = None


class TimelineEvent(BaseModel):
    seq: int
    kind: str
    at: datetime
    data: dict[str, Any]


class TimelineEntry(TimelineEvent):
    """`text` says it in words."""

    text: str = ""


class OrderOut(BaseModel):
    order_id: str
    status: OrderStatus
    reason: Reason | None
    lines: list[OrderLineOut]
    amount_total: int
    currency: str
    created_at: datetime
    payment: PaymentOut
    refunds: Sequence[RefundOut] = []
    disputes: Sequence[DisputeOut] = []
    dispatch: DispatchOut
    timeline: list[TimelineEntry]


class OperatorOrder(OrderOut):
    """`on_hold`: not dispatched while its money is disputed, or all of it asked back."""

    refunds: Sequence[OperatorRefund] = []
    disputes: Sequence[OperatorDispute] = []
    on_hold: bool = False


class RefundAnswer(OperatorOrder):
    """The order, and the refund that this request made or repeated, as it now is."""

    refund: OperatorRefund | None = None


def event_text(kind: str, data: Mapping[str, Any], currency: str) -> str:
    """An event in words; of a kind that has none, its name."""
    amount = data.get("amount")
    told = money(amount, currency) if isinstance(amount, int) else "the money"
    text = _WORDS.get(kind, kind.replace("_", " ")).format(amount=told)
    return text[:1].upper() + text[1:]


def order_out(row: OrderDetail) -> OrderOut:
    """Customer's view: hides refunds that were refused or never sent, and reasons not given by our operator."""
    refunds = [
        refund if refund["requested_by"] == RequestedBy.OPERATOR else refund | {"reason": None}
        for refund in row.refunds
        if refund["is_taken"] or refund["state"] == RefundState.PENDING
    ]
    return OrderOut.model_validate(_order(row) | {"refunds": refunds})


def operator_order(row: OrderDetail) -> OperatorOrder:
    """With all that is known of its money."""
    return OperatorOrder.model_validate(_order(row))


def _order(row: OrderDetail) -> dict[str, Any]:
    """Fields of both views; each model picks its own."""
    status = OrderStatus(row.status)
    return vars(row) | {
        "order_id": row.id,
        "payment": _payment(row, status),
        "dispatch": _dispatch(row, status),
        "disputes": [one | {"is_open": one["state"] not in CLOSED_DISPUTES} for one in row.disputes],
        "timeline": [one | {"text": event_text(one["kind"], one["data"], row.currency)} for one in row.timeline],
    }


def _payment(row: OrderDetail, status: OrderStatus) -> PaymentOut:
    state: Any = "not_paid"
    refunded, lost = _sum(row.refunds, RefundState.SUCCEEDED), _sum(row.disputes, "lost")
    kept = (row.paid or 0) - refunded - lost
    if status is OrderStatus.PAYMENT_PROCESSING:
        state = "processing"
    elif kept > 0 and not status.is_kept:
        state = "refund_due"  # it came late, or failed to come back, and is on its way
    elif status is OrderStatus.REFUNDED:
        state = "refunded"
    elif status.is_kept:
        state = "paid"
    elif status.is_live:
        state = "pending" if row.payment_session_id else "none"
    return PaymentOut(
        status=state,
        session_id=row.payment_session_id,
        url=row.payment_url if status is OrderStatus.AWAITING_PAYMENT else None,
        expires_at=row.expires_at,
        processing_until=row.processing_until if status is OrderStatus.PAYMENT_PROCESSING else None,
        paid=row.paid or 0,
        refunded=refunded,
        refund_pending=_sum(row.refunds, RefundState.PENDING),
        lost=lost,
        kept=kept,
    )


def _sum(reversals: Sequence[RefundRow | DisputeRow], state: str) -> int:
    return sum(one["amount"] for one in reversals if one["state"] == state)


def _dispatch(row: OrderDetail, status: OrderStatus) -> DispatchOut:
    if status is OrderStatus.DISPATCHED:
        return DispatchOut(status="dispatched", progress=1.0, due_at=row.dispatch_due_at)
    if status is not OrderStatus.FULFILLED:
        return DispatchOut(status="waiting" if status.is_live else "none", progress=0.0)
    if row.on_hold:
        return DispatchOut(status="held", progress=0.0, due_at=row.dispatch_due_at)
    assert row.fulfilled_at is not None, "of a fulfilled order, says the table"
    assert row.dispatch_due_at is not None, "of a fulfilled order, says the table"
    whole = (row.dispatch_due_at - row.fulfilled_at).total_seconds()
    passed = (row.now - row.fulfilled_at).total_seconds()
    # Dispatched only when the database says so: until then the bar stays short of its end.
    progress = min(max(passed / whole, 0.0), 0.99) if whole else 0.99
    return DispatchOut(status="on_its_way", progress=round(progress, 4), due_at=row.dispatch_due_at)
