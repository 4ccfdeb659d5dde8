"""What people look at: an order with its timeline, and the operator's list. One statement each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.errors import OrderNotFound
from db.order_queries import fold_email

_DETAIL = text("""
    SELECT o.id, o.checkout_key, o.status, o.reason, o.amount_total, o.currency, o.created_at, o.updated_at,
           o.expires_at, o.payment_session_id, o.payment_url, o.payment_intent_id, o.fulfilled_at, o.dispatch_due_at,
           o.processing_until, o.on_hold, clock_timestamp() AS now,
           (SELECT amount FROM shop.payments p WHERE p.order_id = o.id AND p.state = 'paid') AS paid,
           (SELECT coalesce(json_agg(json_build_object(
                       'id', r.id, 'amount', r.amount, 'state', r.state, 'requires_action', r.requires_action,
                       'reason', r.reason, 'requested_by', r.requested_by, 'attempt', r.attempt,
                       'failure_reason', r.failure_reason, 'at', r.at, 'is_taken', r.provider_refund_id IS NOT NULL,
                       'lines', (SELECT coalesce(json_agg(json_build_object('sku', rl.sku, 'quantity', rl.quantity,
                                                                   'restocked', rl.restocked) ORDER BY rl.sku), '[]')
                                   FROM shop.refund_lines rl WHERE rl.refund_id = r.id)) ORDER BY r.at, r.id), '[]')
              FROM shop.refunds r WHERE r.order_id = o.id) AS refunds,
           (SELECT coalesce(json_agg(json_build_object(
                       'id', d.id, 'amount', d.amount, 'state', d.state, 'reason', d.reason,
                       'evidence_due_by', d.evidence_due_by, 'at', d.at) ORDER BY d.at, d.id), '[]')
              FROM shop.disputes d WHERE d.order_id = o.id) AS disputes,
           (SELECT json_agg(json_build_object('sku', l.sku, 'name', l.name, 'quantity', l.quantity,
                                              'unit_amount', l.unit_amount) ORDER BY l.sku)
              FROM shop.order_lines l WHERE l.order_id = o.id) AS lines,
           (SELECT json_agg(json_build_object('seq', e.seq, 'kind', e.kind, 'at', e.at, 'data', e.data) ORDER BY e.seq)
              FROM shop.order_events e WHERE e.order_id = o.id) AS timeline
      FROM shop.orders o WHERE o.id = :order_id
""")
_PAGE = """SELECT id, checkout_key, status, reason, amount_total, currency, created_at, updated_at FROM shop.orders"""
# Each has an index. `~` is the last letter that a key may have, and DEL comes behind it.
_FOUND = """(id = :search OR payment_session_id = :search OR payment_intent_id = :search
             OR checkout_key BETWEEN :search AND :search || chr(127) OR email_folded = :folded)"""
_EVENTS_AFTER = text("""
    SELECT seq, kind, at, data FROM shop.order_events WHERE order_id = :order_id AND seq > :seq ORDER BY seq
""")


class LineRow(TypedDict):
    sku: str
    name: str
    quantity: int
    unit_amount: int


class RefundedLineRow(TypedDict):
    sku: str
    quantity: int
    restocked: bool


class RefundRow(TypedDict):
    """`is_taken`: the payment service has it."""

    id: str
    amount: int
    state: str
    requires_action: bool
    reason: str | None
    requested_by: str
    attempt: int
    failure_reason: str | None
    at: str
    is_taken: bool
    lines: list[RefundedLineRow]


class DisputeRow(TypedDict):
    id: str
    amount: int
    state: str
    reason: str
    evidence_due_by: str | None
    at: str


class EventRow(TypedDict):
    seq: int
    kind: str
    at: str
    data: dict[str, Any]


@dataclass(frozen=True)
class OrderRow:
    """A line of the operator's list. `amount_total` in minor units."""

    id: str
    checkout_key: str
    status: str
    reason: str | None
    amount_total: int
    currency: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class OrderDetail(OrderRow):
    """`lines`, `timeline`, `refunds` and `disputes` are read as JSON, instants as text; `now` is the database's clock.
    `paid` is the amount of the order's payment once it has come; `on_hold`: it is not dispatched, for its money is
    disputed or asked back."""

    expires_at: datetime
    payment_session_id: str | None
    payment_url: str | None
    payment_intent_id: str | None
    fulfilled_at: datetime | None
    dispatch_due_at: datetime | None
    processing_until: datetime | None
    on_hold: bool
    now: datetime
    paid: int | None
    refunds: list[RefundRow]
    disputes: list[DisputeRow]
    lines: list[LineRow]
    timeline: list[EventRow]


@dataclass(frozen=True)
class OrderEvent:
    seq: int
    kind: str
    at: datetime
    data: dict[str, Any]


async def order_detail(connection: AsyncConnection, order_id: str) -> OrderDetail:
    """Raises `OrderNotFound`."""
    row = (await connection.execute(_DETAIL, {"order_id": order_id})).one_or_none()
    if row is None:
        raise OrderNotFound(f"No order {order_id}")
    return OrderDetail(**row._asdict())


async def order_page(
    connection: AsyncConnection,
    *,
    status: str | None = None,
    search: str | None = None,
    after: str | None = None,
    limit: int,
) -> list[OrderRow]:
    """Orders newest first, those that come after the order `after`. `search` is an id of the order, its session or
    its payment, its key or how that begins, or its email in any case. Only the conditions asked for are in it, for each
    of them has an index."""
    given: dict[str, object] = {"limit": limit}
    conditions = ["true"]
    if status is not None:
        conditions.append("status = :status")
        given["status"] = status
    if search is not None:
        conditions.append(_FOUND)
        given |= {"search": search, "folded": fold_email(search)}
    if after:
        conditions.append("(created_at, id) < (SELECT a.created_at, a.id FROM shop.orders a WHERE a.id = :after)")
        given["after"] = after
    statement = text(f"{_PAGE} WHERE {' AND '.join(conditions)} ORDER BY created_at DESC, id DESC LIMIT :limit")
    return [OrderRow(**row._asdict()) for row in await connection.execute(statement, given)]


async def order_events_after(connection: AsyncConnection, order_id: str, seq: int) -> list[OrderEvent]:
    rows = await connection.execute(_EVENTS_AFTER, {"order_id": order_id, "seq": seq})
    return [OrderEvent(**row._asdict()) for row in rows]
