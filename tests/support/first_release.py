"""Orders as the first release wrote them, with its statements: for tests of what became of its data and its workers."""

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

PENS, PRICE = 2, 1_000  # as the catalogue has it, minor units
_OPEN = text(f"""
    WITH opened AS (
        INSERT INTO shop.orders (id, checkout_key, fingerprint, status, amount_total, currency, expires_at, event_count)
        VALUES (:id, :id, repeat('f', 64), 'pending', {PENS * PRICE}, 'usd', now() + interval '15 minutes', 1)
        RETURNING *
    ), lines AS (
        INSERT INTO shop.order_lines (order_id, sku, name, quantity, unit_amount, currency)
        SELECT id, 'pen', 'Pen', {PENS}, {PRICE}, currency FROM opened
    ), taken AS (
        UPDATE shop.products SET on_hand = on_hand - {PENS} WHERE sku = 'pen'
    ), held AS (
        INSERT INTO shop.reservations (order_id, sku, quantity, state) SELECT id, 'pen', {PENS}, 'held' FROM opened
    ), moved AS (
        INSERT INTO shop.stock_movements (sku, delta, cause, order_id)
        SELECT 'pen', -{PENS}, 'reserve', id FROM opened
    )
    INSERT INTO shop.order_events (order_id, seq, kind) SELECT id, 1, 'reserved' FROM opened
""")
_RECORD_SESSION = text("""
    WITH moved AS (
        UPDATE shop.orders SET status = 'awaiting_payment', payment_session_id = 'cs_' || id,
                               payment_url = 'https://pay', event_count = event_count + 1
         WHERE id = :id AND status = 'pending' RETURNING *
    )
    INSERT INTO shop.order_events (order_id, seq, kind, data)
    SELECT id, event_count, status, jsonb_build_object('session_id', payment_session_id) FROM moved
""")
_FULFIL = text("""
    WITH moved AS (
        UPDATE shop.orders
           SET status = 'fulfilled', fulfilled_at = clock_timestamp(),
               dispatch_due_at = clock_timestamp() + interval '1 minute',
               payment_intent_id = 'pi_' || id, event_count = event_count + 2
         WHERE id = :id AND status = 'awaiting_payment' RETURNING *
    ), consumed AS (
        UPDATE shop.reservations r SET state = 'consumed' FROM moved WHERE r.order_id = moved.id AND r.state = 'held'
    )
    INSERT INTO shop.order_events (order_id, seq, kind)
    SELECT id, event_count - 1, 'paid' FROM moved UNION ALL SELECT id, event_count, 'fulfilled' FROM moved
""")
_DISPATCH = text("""
    WITH moved AS (
        UPDATE shop.orders SET status = 'dispatched', event_count = event_count + 1
         WHERE id = :id AND status = 'fulfilled' RETURNING *
    )
    INSERT INTO shop.order_events (order_id, seq, kind) SELECT id, event_count, 'dispatched' FROM moved
""")
_CLOSE = text("""
    WITH moved AS (
        UPDATE shop.orders
           SET status = CAST(:status AS text), reason = :reason, event_count = event_count + 1,
               payment_intent_id = coalesce(payment_intent_id, :payment_intent_id)
         WHERE id = :id AND status NOT IN ('refunded', CAST(:status AS text)) RETURNING *
    ), released AS (
        UPDATE shop.reservations r SET state = 'released'
          FROM moved WHERE r.order_id = moved.id AND r.state IN ('held', 'consumed')
        RETURNING r.order_id, r.sku, r.quantity
    ), returned AS (
        UPDATE shop.products p SET on_hand = p.on_hand + released.quantity FROM released WHERE p.sku = released.sku
    ), recorded AS (
        INSERT INTO shop.stock_movements (sku, delta, cause, order_id)
        SELECT sku, quantity, 'release', order_id FROM released
    )
    INSERT INTO shop.order_events (order_id, seq, kind, data)
    SELECT id, event_count, status, jsonb_build_object('reason', reason) FROM moved
""")
_OWE = text("""
    UPDATE shop.orders SET payment_intent_id = :payment_intent_id
     WHERE id = :id AND status = 'cancelled' AND payment_intent_id IS NULL
""")


class FirstRelease:
    """Its worker, as far as the database saw of it. Orders go by their ids; the payment of one is `pi_` and its id."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def awaiting(self, order_id: str) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(_OPEN, {"id": order_id})
            await connection.execute(_RECORD_SESSION, {"id": order_id})

    async def fulfil(self, order_id: str) -> None:
        await self._do(_FULFIL, order_id)

    async def dispatch(self, order_id: str) -> None:
        await self._do(_DISPATCH, order_id)

    async def cancel(self, order_id: str) -> None:
        await self._close(order_id, "cancelled", "timeout", None)

    async def owe(self, order_id: str) -> None:
        """Money has come for an order that was cancelled, and is to be given back."""
        await self._do(_OWE, order_id, payment_intent_id=f"pi_{order_id}")

    async def refund(self, order_id: str, reason: str = "operator") -> None:
        """The payment service had taken the refund."""
        await self._close(order_id, "refunded", reason, f"pi_{order_id}")

    async def in_every_state(self) -> None:
        """One order each; its id is its state, and `owing` stands for cancelled with the money still here."""
        ids = ("awaiting", "fulfilled", "dispatched", "refunded", "refunded-late", "cancelled", "owing")
        for order_id in ids:
            await self.awaiting(order_id)
        for order_id in ("fulfilled", "dispatched", "refunded"):
            await self.fulfil(order_id)
        await self.dispatch("dispatched")
        await self.refund("refunded")
        for order_id in ("refunded-late", "cancelled", "owing"):
            await self.cancel(order_id)
        for order_id in ("refunded-late", "owing"):
            await self.owe(order_id)
        await self.refund("refunded-late", "late_payment")

    async def _close(self, order_id: str, status: str, reason: str, payment_intent_id: str | None) -> None:
        await self._do(_CLOSE, order_id, status=status, reason=reason, payment_intent_id=payment_intent_id)

    async def _do(self, statement: TextClause, order_id: str, **parameters: str | None) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(statement, {"id": order_id} | parameters)
