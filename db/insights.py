"""What an operator wants to know at a glance: what is stuck, how orders end, what is left, how long paying takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.order_queries import KEPT, LIVE

# Each has an index that holds only what stands open. Money that is owed is on top.
_STUCK = text("""
    WITH stuck AS (
        (SELECT id, 'unsettled' AS why, expires_at AS since
           FROM shop.orders WHERE status IN ('awaiting_payment', 'payment_processing')
            AND coalesce(processing_until, expires_at) < :late
          ORDER BY created_at LIMIT :limit)
        UNION ALL
        (SELECT id, 'no_session', created_at
           FROM shop.orders WHERE status = 'pending' AND created_at < :late ORDER BY created_at LIMIT :limit)
        UNION ALL
        (SELECT id, 'undispatched', dispatch_due_at
           FROM shop.orders WHERE status = 'fulfilled' AND NOT on_hold AND dispatch_due_at < :late
          ORDER BY dispatch_due_at LIMIT :limit)
        UNION ALL
        (SELECT order_id,
                CASE WHEN attempt > 1 THEN 'refund_failed' WHEN requires_action THEN 'refund_waits' ELSE 'owing' END, at
           FROM shop.refunds
          WHERE state = 'pending' AND (provider_refund_id IS NULL OR attempt > 1 OR requires_action)
            AND at < :late AND order_id IS NOT NULL
          ORDER BY at LIMIT :limit)
        UNION ALL
        -- Failed, and its next attempt has to wait for its turn.
        (SELECT p.order_id, 'refund_failed',
                (SELECT max(changed_at) FROM shop.refunds r WHERE r.payment_intent_id = p.payment_intent_id)
           FROM shop.payments p
          WHERE p.look_at IS NOT NULL AND p.order_id IS NOT NULL AND EXISTS (
                SELECT 1 FROM shop.refunds r
                 WHERE r.payment_intent_id = p.payment_intent_id AND r.request_key IS NOT NULL
                   AND r.state IN ('failed', 'cancelled') AND r.provider_refund_id IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM shop.refunds again
                                    WHERE again.payment_intent_id = r.payment_intent_id
                                      AND again.request_key = r.request_key AND again.attempt > r.attempt))
          ORDER BY p.look_at LIMIT :limit)
        UNION ALL
        (SELECT order_id, 'disputed', at FROM shop.disputes
          WHERE state NOT IN ('won', 'lost', 'warning_closed', 'prevented') AND order_id IS NOT NULL
          ORDER BY evidence_due_by LIMIT :limit)
    )
    SELECT id, why, clock_timestamp() - since FROM stuck
     ORDER BY array_position('{refund_failed,owing,disputed}'::text[], why), since LIMIT :limit
""")
_OUTCOMES = text("""
    SELECT date_bin(CAST(:step AS interval), created_at, CAST(:until AS timestamptz)) AS bucket, status,
           count(*) AS orders
      FROM shop.orders WHERE created_at >= :since AND created_at < :until GROUP BY 1, 2
""")
# Held is what live orders hold. The rest of what was brought in and is not there any more was sold: the auditor sees to
# it that the books say so (`shop.stock_sums`), so nobody has to add up all that ever was.
_STOCK = text(f"""
    SELECT p.sku, p.name, p.unit_amount, p.currency, p.on_hand, p.withdrawn_at IS NOT NULL AS withdrawn,
           coalesce(h.held, 0)::bigint AS held,
           (coalesce(s.brought, 0) - p.on_hand - coalesce(h.held, 0))::bigint AS sold
      FROM shop.products p LEFT JOIN shop.stock_sums s USING (sku)
      LEFT JOIN (SELECT r.sku, sum(r.quantity) AS held FROM shop.orders o JOIN shop.reservations r ON r.order_id = o.id
                  WHERE o.status IN {LIVE} AND r.state = 'held'
                  GROUP BY r.sku) h USING (sku)
     WHERE p.sku = ANY(CAST(:skus AS text[])) ORDER BY p.position, p.sku
""")
_SCARCE = text("SELECT sku FROM shop.products ORDER BY on_hand, position, sku LIMIT :limit")
_TIME_TO_PAY = text("""
    WITH paid AS (
        SELECT extract(epoch FROM fulfilled_at - created_at) AS seconds FROM shop.orders
         WHERE created_at >= :since AND fulfilled_at IS NOT NULL
    )
    SELECT width_bucket(seconds, CAST(:bounds AS numeric[])) AS bucket, count(*) AS orders,
           (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) FROM paid) AS median,
           (SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds) FROM paid) AS ninth
      FROM paid GROUP BY 1
""")
_TAKINGS = text(f"""
    WITH gone AS (
        SELECT order_id, sum(amount) AS amount
          FROM (SELECT order_id, amount FROM shop.refunds WHERE state = 'succeeded'
                 UNION ALL SELECT order_id, amount FROM shop.disputes WHERE state = 'lost') g
         GROUP BY order_id
    )
    SELECT o.currency, (sum(o.amount_total) - coalesce(sum(gone.amount), 0))::bigint AS amount
      FROM shop.orders o LEFT JOIN gone ON gone.order_id = o.id
     WHERE o.created_at >= :since AND o.status IN {KEPT} GROUP BY o.currency ORDER BY 2 DESC
""")
_INSIDE = text("""
    SELECT email, (SELECT json_object_agg(sku, state) FROM shop.reservations WHERE order_id = o.id)
      FROM shop.orders o WHERE id = :order_id
""")


@dataclass(frozen=True)
class StuckOrder:
    """`age` is for how long it should have moved on. `why`: unsettled, no_session, undispatched; of its money: owing
    (the provider has not taken a refund yet), refund_failed (made again), refund_waits (for the customer), disputed."""

    id: str
    why: str
    age: timedelta


@dataclass(frozen=True)
class OutcomeCount:
    bucket: datetime
    status: str
    orders: int


@dataclass(frozen=True)
class StockLevel:
    """What is on hand, held for live orders, and sold."""

    sku: str
    name: str
    unit_amount: int
    currency: str
    on_hand: int
    withdrawn: bool
    held: int
    sold: int


@dataclass(frozen=True)
class PayTimes:
    """`orders` took as long as `bucket` says; `median` and `ninth` (of ten), in seconds, are of all of them."""

    bucket: int
    orders: int
    median: float
    ninth: float


async def stuck_orders(connection: AsyncConnection, grace: timedelta, limit: int = 20) -> list[StuckOrder]:
    """Orders that should have moved on for `grace`, longest first."""
    late = datetime.now(UTC) - grace
    return [StuckOrder(*row) for row in await connection.execute(_STUCK, {"late": late, "limit": limit})]


async def outcomes_over_time(
    connection: AsyncConnection, since: datetime, until: datetime, step: timedelta
) -> list[OutcomeCount]:
    """Buckets of `step` that end at `until`."""
    rows = await connection.execute(_OUTCOMES, {"since": since, "until": until, "step": step})
    return [OutcomeCount(*row) for row in rows]


async def stock_levels(connection: AsyncConnection, skus: Sequence[str]) -> list[StockLevel]:
    return [StockLevel(*row) for row in await connection.execute(_STOCK, {"skus": list(skus)})]


async def scarcest(connection: AsyncConnection, limit: int) -> list[str]:
    """The products of which least is on hand."""
    return list((await connection.scalars(_SCARCE, {"limit": limit})).all())


async def time_to_pay(connection: AsyncConnection, since: datetime, bounds: list[float]) -> list[PayTimes]:
    """How many orders took how long from Buy to paid: `bucket` counts the bounds (seconds) that are not above."""
    return [PayTimes(*row) for row in await connection.execute(_TIME_TO_PAY, {"since": since, "bounds": bounds})]


async def takings(connection: AsyncConnection, since: datetime) -> dict[str, int]:
    """What was taken, and kept, for the orders opened since then: minor units by currency."""
    return {row.currency: row.amount for row in await connection.execute(_TAKINGS, {"since": since})}


async def order_inside(connection: AsyncConnection, order_id: str) -> tuple[str | None, dict[str, str]]:
    """What only an operator sees of an order: its customer's email, and the state of the reservation by SKU."""
    email, reserved = (await connection.execute(_INSIDE, {"order_id": order_id})).one_or_none() or (None, None)
    return email, reserved or {}
