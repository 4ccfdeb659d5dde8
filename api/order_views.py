"""From rows to what people see of an order."""

from typing import Any

from api.schemas import (
    DispatchOut,
    DisputeOut,
    OperatorDispute,
    OperatorOrder,
    OperatorRefund,
    OrderLineOut,
    OrderOut,
    PaymentOut,
    RefundOut,
    TimelineEntry,
)
from api.words import event_text
from checkout.money import CLOSED_DISPUTES, RefundState, RequestedBy
from checkout.orders import OrderStatus, Reason
from db.views import OrderDetail


def order_out(row: OrderDetail) -> OrderOut:
    """As its customer sees it."""
    refunds = [RefundOut.model_validate(_told(refund)) for refund in row.refunds if _is_customers(refund)]
    disputes = [DisputeOut.model_validate(_dispute(dispute)) for dispute in row.disputes]
    return OrderOut(**_order(row), refunds=refunds, disputes=disputes)


def operator_order(row: OrderDetail) -> OperatorOrder:
    """With all that is known of its money."""
    refunds = [OperatorRefund.model_validate(refund) for refund in row.refunds]
    disputes = [OperatorDispute.model_validate(_dispute(dispute)) for dispute in row.disputes]
    return OperatorOrder(**_order(row), refunds=refunds, disputes=disputes, on_hold=row.on_hold)


def _order(row: OrderDetail) -> dict[str, Any]:
    status = OrderStatus(row.status)
    return {
        "order_id": row.id,
        "status": status,
        "reason": Reason(row.reason) if row.reason else None,
        "lines": [OrderLineOut(**line) for line in row.lines],
        "amount_total": row.amount_total,
        "currency": row.currency,
        "created_at": row.created_at,
        "payment": _payment(row, status),
        "dispatch": _dispatch(row, status),
        "timeline": [
            TimelineEntry(**event, text=event_text(event["kind"], event["data"], row.currency))
            for event in row.timeline
        ],
    }


def _is_customers(refund: dict[str, Any]) -> bool:
    """What the payment service has refused, or was never asked for, is no news to a customer."""
    return bool(refund["is_taken"]) or refund["state"] == RefundState.PENDING


def _told(refund: dict[str, Any]) -> dict[str, Any]:
    """An operator's reason is for the customer; what somebody chose in the provider's dashboard is not."""
    return refund if refund["requested_by"] == RequestedBy.OPERATOR else refund | {"reason": None}


def _dispute(dispute: dict[str, Any]) -> dict[str, Any]:
    return dispute | {"is_open": dispute["state"] not in CLOSED_DISPUTES}


def _payment(row: OrderDetail, status: OrderStatus) -> PaymentOut:
    state: Any = "not_paid"
    kept = (row.paid or 0) - row.refunded - row.lost
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
        refunded=row.refunded,
        refund_pending=row.refund_pending,
        lost=row.lost,
        kept=kept,
    )


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
