"""From rows to what people see of an order."""

from typing import Any

from api.schemas import DispatchOut, OrderLineOut, OrderOut, PaymentOut, TimelineEvent
from checkout.orders import OrderStatus, Reason
from db.views import OrderDetail


def order_out(row: OrderDetail) -> OrderOut:
    status = OrderStatus(row.status)
    return OrderOut(
        order_id=row.id,
        status=status,
        reason=Reason(row.reason) if row.reason else None,
        lines=[OrderLineOut(**line) for line in row.lines],
        amount_total=row.amount_total,
        currency=row.currency,
        created_at=row.created_at,
        payment=_payment(row, status),
        dispatch=_dispatch(row, status),
        timeline=[TimelineEvent(**event) for event in row.timeline],
    )


def _payment(row: OrderDetail, status: OrderStatus) -> PaymentOut:
    state: Any = "not_paid"
    if status is OrderStatus.PAYMENT_PROCESSING:
        state = "processing"
    elif row.paid is not None and row.refund_pending > 0 and not status.is_kept:
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
    )


def _dispatch(row: OrderDetail, status: OrderStatus) -> DispatchOut:
    if status is OrderStatus.DISPATCHED:
        return DispatchOut(status="dispatched", progress=1.0, due_at=row.dispatch_due_at)
    if status is not OrderStatus.FULFILLED:
        return DispatchOut(status="waiting" if status.is_live else "none", progress=0.0)
    assert row.fulfilled_at is not None, "of a fulfilled order, says the table"
    assert row.dispatch_due_at is not None, "of a fulfilled order, says the table"
    whole = (row.dispatch_due_at - row.fulfilled_at).total_seconds()
    passed = (row.now - row.fulfilled_at).total_seconds()
    # Dispatched only when the database says so: until then the bar stays short of its end.
    progress = min(max(passed / whole, 0.0), 0.99) if whole else 0.99
    return DispatchOut(status="on_its_way", progress=round(progress, 4), due_at=row.dispatch_due_at)
