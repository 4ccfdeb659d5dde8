"""Orders: every guarded transition of their life, after `db.opening`.

Each transition is one statement of the form `UPDATE … WHERE status = …` whose side effects (reservations, stock,
timeline) hang off the row it returns. Run twice, or in a race, the second finds no row and changes nothing; the
caller gets the order as it is. That is what makes every activity safe to repeat.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.errors import (
    CannotFulfil,
)
from checkout.orders import Order, OrderStatus, Reason
from checkout.payments import PaymentSession
from db.inventory import lock_order_products
from db.order_queries import COLUMNS, get_order, order_of

_RECORD_SESSION = text(f"""
    WITH moved AS (
        UPDATE shop.orders
           SET status = 'awaiting_payment', payment_session_id = :session_id, payment_url = :url,
               simulator_url = :simulator_url, event_count = event_count + 1
         WHERE id = :order_id AND status = 'pending'
        RETURNING *
    ), told AS (
        INSERT INTO shop.order_events (order_id, seq, kind, data)
        SELECT id, event_count, 'awaiting_payment', jsonb_build_object('session_id', payment_session_id) FROM moved
    )
    SELECT {COLUMNS} FROM moved
""")

_FULFIL = text(f"""
    WITH moved AS (
        UPDATE shop.orders
           SET status = 'fulfilled', fulfilled_at = clock_timestamp(),
               dispatch_due_at = clock_timestamp() + CAST(:dispatch_duration AS interval),
               payment_intent_id = :payment_intent_id, event_count = event_count + 2
         WHERE id = :order_id AND status = 'awaiting_payment'
        RETURNING *
    ), consumed AS (
        UPDATE shop.reservations r SET state = 'consumed'
          FROM moved WHERE r.order_id = moved.id AND r.state = 'held'
        RETURNING r.sku
    ), told AS (
        INSERT INTO shop.order_events (order_id, seq, kind)
        SELECT id, event_count - 1, 'paid' FROM moved UNION ALL SELECT id, event_count, 'fulfilled' FROM moved
    )
    SELECT {COLUMNS},
           (SELECT string_agg(l.sku, ', ' ORDER BY l.sku) FROM shop.order_lines l
             WHERE l.order_id = moved.id AND l.sku NOT IN (SELECT sku FROM consumed)) AS unreserved
      FROM moved
""")

_CLOSE = text(f"""
    WITH moved AS (
        UPDATE shop.orders
           SET status = :status, reason = :reason, event_count = event_count + 1,
               payment_intent_id = coalesce(payment_intent_id, :payment_intent_id)
         WHERE id = :order_id AND status = ANY(CAST(:closes AS text[]))
        RETURNING *
    ), released AS (
        UPDATE shop.reservations r SET state = 'released'
          FROM moved WHERE r.order_id = moved.id AND r.state IN ('held', 'consumed')
        RETURNING r.order_id, r.sku, r.quantity
    ), returned AS (
        UPDATE shop.products p SET on_hand = p.on_hand + released.quantity FROM released WHERE p.sku = released.sku
    ), recorded AS (
        INSERT INTO shop.stock_movements (sku, delta, cause, order_id)
        SELECT sku, quantity, 'release', order_id FROM released
    ), told AS (
        INSERT INTO shop.order_events (order_id, seq, kind, data)
        SELECT id, event_count, status, jsonb_build_object('reason', reason) FROM moved
    )
    SELECT {COLUMNS} FROM moved
""")

_ANY_DUE = text("""
    SELECT EXISTS (SELECT 1 FROM shop.orders
                    WHERE status = 'fulfilled' AND dispatch_due_at <= clock_timestamp() - CAST(:overdue AS interval))
""")
# A row that another worker dispatches or an operator refunds just now is left to them: it is looked at again.
_DISPATCH_DUE = text("""
    WITH due AS (
        SELECT id FROM shop.orders
         WHERE status = 'fulfilled' AND dispatch_due_at <= clock_timestamp() - CAST(:overdue AS interval)
         ORDER BY dispatch_due_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE shop.orders o SET status = 'dispatched', event_count = event_count + 1
          FROM due WHERE o.id = due.id AND o.status = 'fulfilled'
        RETURNING o.id, o.event_count
    ), told AS (
        INSERT INTO shop.order_events (order_id, seq, kind) SELECT id, event_count, 'dispatched' FROM moved
    )
    SELECT count(*) FROM moved
""")


_OWE = text("""
    UPDATE shop.orders SET payment_intent_id = :payment_intent_id
     WHERE id = :order_id AND status = 'cancelled' AND payment_intent_id IS NULL
""")


async def record_session(connection: AsyncConnection, order_id: str, session: PaymentSession) -> Order:
    """pending → awaiting_payment. The answer's session may be another's: the first one recorded stays."""
    return await _transition(
        connection,
        _RECORD_SESSION,
        order_id,
        session_id=session.session_id,
        url=session.url,
        simulator_url=session.simulator_url,
    )


async def fulfil_order(
    connection: AsyncConnection, order_id: str, payment_intent_id: str | None, dispatch_duration: timedelta
) -> Order:
    """awaiting_payment → fulfilled, reservation held → consumed.

    Raises `CannotFulfil` for an order that lacks a reservation, naming both: no code makes one, so it is damage, and
    taking stock anew would hide it (docs/decisions/0021-a-missing-reservation-is-an-alarm.md).
    """
    parameters = {
        "order_id": order_id,
        "payment_intent_id": payment_intent_id,
        "dispatch_duration": dispatch_duration,
    }
    row = (await connection.execute(_FULFIL, parameters)).one_or_none()
    if row is None:
        return await get_order(connection, order_id)
    if row.unreserved:
        raise CannotFulfil(f"Order {order_id} is paid and has no reservation of {row.unreserved}")
    return order_of(row)


async def close_order(
    connection: AsyncConnection,
    order_id: str,
    status: OrderStatus,
    reason: Reason,
    *,
    closes: Sequence[OrderStatus],
    payment_intent_id: str | None = None,
) -> Order:
    """Move an order in one of the states `closes` to an end, returning what it held or had consumed to stock."""
    await lock_order_products(connection, order_id)
    return await _transition(
        connection,
        _CLOSE,
        order_id,
        status=status,
        reason=reason,
        closes=list(closes),
        payment_intent_id=payment_intent_id,
    )


async def owe(connection: AsyncConnection, order_id: str, payment_intent_id: str) -> None:
    """Write down that money came for a cancelled order: until it is refunded, the sweep looks after it like a live one,
    whatever becomes of the workflow that is giving it back."""
    await connection.execute(_OWE, {"order_id": order_id, "payment_intent_id": payment_intent_id})


async def is_any_due(connection: AsyncConnection, overdue: timedelta = timedelta(0)) -> bool:
    """Whether there is an order to dispatch: a look without a lock, for who asks again and again."""
    return bool((await connection.execute(_ANY_DUE, {"overdue": overdue})).scalar_one())


async def dispatch_due(connection: AsyncConnection, *, limit: int = 1_000, overdue: timedelta = timedelta(0)) -> int:
    """fulfilled → dispatched, for at most `limit` orders that are due, longest due first; answers how many.

    With `overdue`, only those that should have been dispatched that long ago.
    """
    return int((await connection.execute(_DISPATCH_DUE, {"limit": limit, "overdue": overdue})).scalar_one())


async def _transition(connection: AsyncConnection, statement: Any, order_id: str, **parameters: Any) -> Order:
    row = (await connection.execute(statement, {"order_id": order_id, **parameters})).one_or_none()
    return order_of(row) if row else await get_order(connection, order_id)
