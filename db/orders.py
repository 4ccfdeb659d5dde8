"""Orders: every guarded transition of their life, after `db.opening`.

Each transition is one statement of the form `UPDATE … WHERE status = …` whose side effects (reservations, stock,
timeline) hang off the row it returns. Run twice, or in a race, the second finds no row and changes nothing; the
caller gets the order as it is. That is what makes every activity safe to repeat.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.errors import CannotFulfil
from checkout.orders import Order, OrderStatus, Reason
from checkout.payments import Refund
from checkout.sessions import PaymentSession
from db.catalogue import lock_order_products
from db.order_queries import COLUMNS, COUNTED_LINES, get_order, order_of

FIRST_PROCESSING_LOOK = timedelta(minutes=10)

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

_PROCESS = text(f"""
    WITH moved AS (
        UPDATE shop.orders
           SET status = 'payment_processing', payment_intent_id = :payment_intent_id,
               processing_until = clock_timestamp() + CAST(:timeout AS interval),
               event_count = event_count + 1
         WHERE id = :order_id AND status = 'awaiting_payment'
        RETURNING *
    ), entered AS (
        INSERT INTO shop.payments (payment_intent_id, order_id, amount, currency, state, look_at)
        SELECT payment_intent_id, id, amount_total, currency, 'processing',
               clock_timestamp() + CAST(:first_look AS interval)
          FROM moved WHERE payment_intent_id IS NOT NULL
        ON CONFLICT DO NOTHING
    ), told AS (
        INSERT INTO shop.order_events (order_id, seq, kind) SELECT id, event_count, status FROM moved
    )
    SELECT {COLUMNS} FROM moved
""")

_FULFIL = text(f"""
    WITH moved AS (
        UPDATE shop.orders
           SET status = 'fulfilled', fulfilled_at = clock_timestamp(),
               dispatch_due_at = clock_timestamp() + CAST(:dispatch_duration AS interval),
               payment_intent_id = :payment_intent_id, event_count = event_count + 2
         WHERE id = :order_id AND status IN ('awaiting_payment', 'payment_processing')
        RETURNING *
    ), entered AS (
        INSERT INTO shop.payments (payment_intent_id, order_id, amount, currency, state)
        SELECT payment_intent_id, id, amount_total, currency, 'paid' FROM moved WHERE payment_intent_id IS NOT NULL
        ON CONFLICT (payment_intent_id) DO UPDATE SET state = 'paid', look_at = clock_timestamp()
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
         WHERE id = :order_id AND status = ANY(CAST(:leaving AS text[]))
        RETURNING *
    ), released AS (
        UPDATE shop.reservations r SET state = 'released'
          FROM moved WHERE r.order_id = moved.id AND r.state IN ('held', 'consumed')
           AND NOT EXISTS (SELECT 1 FROM {COUNTED_LINES} l
                            WHERE l.order_id = r.order_id AND l.sku = r.sku AND NOT l.restocked)
        RETURNING r.order_id, r.sku, r.quantity
    ), left_over AS (
        SELECT order_id, sku, quantity - coalesce(
                   (SELECT sum(l.quantity) FROM {COUNTED_LINES} l
                     WHERE l.order_id = released.order_id AND l.sku = released.sku AND l.restocked), 0) AS quantity
          FROM released
    ), returned AS (
        UPDATE shop.products p SET on_hand = p.on_hand + left_over.quantity FROM left_over WHERE p.sku = left_over.sku
    ), recorded AS (
        INSERT INTO shop.stock_movements (sku, delta, cause, order_id)
        SELECT sku, quantity, 'release', order_id FROM left_over WHERE quantity > 0
    ), failed AS (
        UPDATE shop.payments p SET state = 'failed', look_at = NULL
          FROM moved WHERE p.order_id = moved.id AND p.state = 'processing' AND moved.reason = 'payment_failed'
    ), told AS (
        INSERT INTO shop.order_events (order_id, seq, kind, data)
        SELECT id, event_count, status, jsonb_build_object('reason', reason) FROM moved
    )
    SELECT {COLUMNS} FROM moved
""")

_IS_DUE = "status = 'fulfilled' AND NOT on_hold AND dispatch_due_at <= clock_timestamp() - CAST(:overdue AS interval)"
_ANY_DUE = text(f"SELECT EXISTS (SELECT 1 FROM shop.orders WHERE {_IS_DUE})")
# A row that another worker dispatches or an operator refunds just now is left to them: it is looked at again.
_DISPATCH_DUE = text(f"""
    WITH due AS (
        SELECT id FROM shop.orders WHERE {_IS_DUE}
         ORDER BY dispatch_due_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE shop.orders o SET status = 'dispatched', event_count = event_count + 1
          FROM due WHERE o.id = due.id AND o.status = 'fulfilled' AND NOT o.on_hold
        RETURNING o.id, o.event_count
    ), told AS (
        INSERT INTO shop.order_events (order_id, seq, kind) SELECT id, event_count, 'dispatched' FROM moved
    )
    SELECT count(*) FROM moved
""")
# A refund that we believed failed may succeed, after its goods were refunded anew: they come back once.
_RETURN_GOODS = text(f"""
    WITH back AS (
        UPDATE shop.refund_lines l SET restocked = true WHERE refund_id = :refund_id AND restock AND NOT restocked
           AND quantity + (SELECT coalesce(sum(o.quantity), 0) FROM {COUNTED_LINES} o
                            WHERE o.order_id = :order_id AND o.sku = l.sku AND o.refund_id <> :refund_id)
               <= (SELECT b.quantity FROM shop.order_lines b WHERE b.order_id = :order_id AND b.sku = l.sku)
        RETURNING sku, quantity
    ), returned AS (
        UPDATE shop.products p SET on_hand = p.on_hand + back.quantity FROM back WHERE p.sku = back.sku
    )
    INSERT INTO shop.stock_movements (sku, delta, cause, order_id) SELECT sku, quantity, 'return', :order_id FROM back
""")
_NAME_PAYMENT = text("""
    UPDATE shop.orders SET payment_intent_id = :payment_intent_id
     WHERE id = :order_id AND status IN ('cancelled', 'rejected') AND payment_intent_id IS NULL
""")
_TELL = text("""
    WITH moved AS (UPDATE shop.orders SET event_count = event_count + 1 WHERE id = :order_id RETURNING id, event_count)
    INSERT INTO shop.order_events (order_id, seq, kind, data)
    SELECT id, event_count, :kind, CAST(:data AS jsonb) FROM moved
""")


async def record_session(connection: AsyncConnection, order_id: str, session: PaymentSession) -> Order:
    """pending → awaiting_payment. The first session recorded stays: the returned order may have another one."""
    return await _transition(connection, _RECORD_SESSION, order_id, **vars(session))


async def process_order(
    connection: AsyncConnection, order_id: str, payment_intent_id: str | None, timeout: timedelta
) -> Order:
    """awaiting_payment → payment_processing: the stock stays held while a payment is under way for days, at most for
    `timeout`. The sweep has it looked at now and then, should its event be lost."""
    given = {"payment_intent_id": payment_intent_id, "timeout": timeout, "first_look": FIRST_PROCESSING_LOOK}
    return await _transition(connection, _PROCESS, order_id, **given)


async def fulfil_order(
    connection: AsyncConnection, order_id: str, payment_intent_id: str | None, dispatch_duration: timedelta
) -> Order:
    """awaiting_payment or payment_processing → fulfilled, reservation held → consumed, the payment in the ledger.

    Raises `CannotFulfil` for an order that lacks a reservation, naming both: no code makes one, so it is damage, and
    taking stock anew would hide it (docs/decisions/0021-a-missing-reservation-is-an-alarm.md).
    """
    given = {"order_id": order_id, "payment_intent_id": payment_intent_id, "dispatch_duration": dispatch_duration}
    row = (await connection.execute(_FULFIL, given)).one_or_none()
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
    leaving: Sequence[OrderStatus],
    payment_intent_id: str | None = None,
) -> Order:
    """Move an order out of one of the states `leaving` to an end, and return to stock what it held or had consumed: but
    for what has come back already, and lines that were refunded without their goods."""
    await lock_order_products(connection, order_id)
    given = {"status": status, "reason": reason, "leaving": list(leaving), "payment_intent_id": payment_intent_id}
    return await _transition(connection, _CLOSE, order_id, **given)


async def return_goods(connection: AsyncConnection, refund: Refund) -> None:
    """Return to stock the goods of a refund's lines that are to be sold again: once, in the transaction that records
    that the provider has taken the refund. The order's products must be locked."""
    await connection.execute(_RETURN_GOODS, {"refund_id": refund.id, "order_id": refund.order_id})


async def name_payment(connection: AsyncConnection, order_id: str, payment_intent_id: str) -> None:
    """Write down which payment came for an order that had ended."""
    await connection.execute(_NAME_PAYMENT, {"order_id": order_id, "payment_intent_id": payment_intent_id})


async def tell(connection: AsyncConnection, order_id: str, kind: str, data: Mapping[str, Any]) -> None:
    """Write into the order's timeline what happened besides its own moves."""
    await connection.execute(_TELL, {"order_id": order_id, "kind": kind, "data": json.dumps(data)})


async def is_any_due(connection: AsyncConnection, overdue: timedelta = timedelta(0)) -> bool:
    """Whether there is an order to dispatch: a look without a lock, for who asks again and again."""
    return bool((await connection.execute(_ANY_DUE, {"overdue": overdue})).scalar_one())


async def dispatch_due(connection: AsyncConnection, *, limit: int = 1_000, overdue: timedelta = timedelta(0)) -> int:
    """fulfilled → dispatched, for at most `limit` orders that are due, longest due first. Returns how many.

    With `overdue`, only those that should have been dispatched that long ago.
    """
    return int((await connection.execute(_DISPATCH_DUE, {"limit": limit, "overdue": overdue})).scalar_one())


async def _transition(connection: AsyncConnection, statement: Any, order_id: str, **parameters: Any) -> Order:
    row = (await connection.execute(statement, {"order_id": order_id, **parameters})).one_or_none()
    return order_of(row) if row else await get_order(connection, order_id)
