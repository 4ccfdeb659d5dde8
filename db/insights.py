"""What an operator wants to know at a glance: what is stuck, how orders end, what is left, how long paying takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Each has an index that holds only what stands open. Money that is owed is on top.
_STUCK = text("""
    WITH stuck AS (
        (SELECT id, status, amount_total, currency, created_at, expires_at AS since, 'unsettled' AS why
           FROM shop.orders WHERE status IN ('awaiting_payment', 'payment_processing')
            AND coalesce(processing_until, expires_at) < :late
          ORDER BY created_at LIMIT :limit)
        UNION ALL
        (SELECT id, status, amount_total, currency, created_at, created_at, 'no_session'
           FROM shop.orders WHERE status = 'pending' AND created_at < :late
          ORDER BY created_at LIMIT :limit)
        UNION ALL
        (SELECT id, status, amount_total, currency, created_at, dispatch_due_at, 'undispatched'
           FROM shop.orders WHERE status = 'fulfilled' AND NOT on_hold AND dispatch_due_at < :late
          ORDER BY dispatch_due_at LIMIT :limit)
        UNION ALL
        (SELECT o.id, o.status, o.amount_total, o.currency, o.created_at, r.at,
                CASE WHEN r.attempt > 1 THEN 'refund_failed' WHEN r.requires_action THEN 'refund_waits' ELSE 'owing' END
           FROM shop.refunds r JOIN shop.orders o ON o.id = r.order_id
          WHERE r.state = 'pending' AND (r.provider_refund_id IS NULL OR r.attempt > 1 OR r.requires_action)
            AND r.at < :late
          ORDER BY r.at LIMIT :limit)
        UNION ALL
        -- Failed, and its next attempt has to wait for its turn.
        (SELECT o.id, o.status, o.amount_total, o.currency, o.created_at,
                (SELECT max(changed_at) FROM shop.refunds r WHERE r.payment_intent_id = p.payment_intent_id),
                'refund_failed'
           FROM shop.payments p JOIN shop.orders o ON o.id = p.order_id
          WHERE p.look_at IS NOT NULL AND EXISTS (
                SELECT 1 FROM shop.refunds r
                 WHERE r.payment_intent_id = p.payment_intent_id AND r.request_key IS NOT NULL
                   AND r.state IN ('failed', 'cancelled') AND r.provider_refund_id IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM shop.refunds again
                                    WHERE again.payment_intent_id = r.payment_intent_id
                                      AND again.request_key = r.request_key AND again.attempt > r.attempt))
          ORDER BY p.look_at LIMIT :limit)
        UNION ALL
        (SELECT o.id, o.status, o.amount_total, o.currency, o.created_at, d.at, 'disputed'
           FROM shop.disputes d JOIN shop.orders o ON o.id = d.order_id
          WHERE d.state NOT IN ('won', 'lost', 'warning_closed', 'prevented')
          ORDER BY d.evidence_due_by LIMIT :limit)
    )
    SELECT *, clock_timestamp() - since AS age FROM stuck
     ORDER BY array_position('{refund_failed,owing,disputed}'::text[], why), since LIMIT :limit
""")
_OUTCOMES = text("""
    SELECT date_bin(CAST(:step AS interval), created_at, CAST(:until AS timestamptz)) AS bucket, status,
           count(*) AS orders
      FROM shop.orders WHERE created_at >= :since AND created_at < :until GROUP BY 1, 2
""")
# Held is what live orders hold. The rest of what was brought in and is not there any more was sold: the auditor sees to
# it that the books say so (`shop.stock_sums`), so nobody has to add up all that ever was.
_STOCK = text("""
    SELECT p.sku, p.name, p.unit_amount, p.currency, p.on_hand, p.withdrawn_at IS NOT NULL AS withdrawn,
           coalesce(h.held, 0)::bigint AS held,
           (coalesce(s.brought, 0) - p.on_hand - coalesce(h.held, 0))::bigint AS sold
      FROM shop.products p LEFT JOIN shop.stock_sums s USING (sku)
      LEFT JOIN (SELECT r.sku, sum(r.quantity) AS held FROM shop.orders o JOIN shop.reservations r ON r.order_id = o.id
                  WHERE o.status IN ('pending', 'awaiting_payment', 'payment_processing') AND r.state = 'held'
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
_FIGURES = text("""
    SELECT count(*) AS orders,
           count(*) FILTER (WHERE status IN ('fulfilled', 'dispatched')) AS kept,
           count(*) FILTER (WHERE status IN ('pending', 'awaiting_payment', 'payment_processing')) AS live,
           count(*) FILTER (WHERE status = 'refunded') AS refunded
      FROM shop.orders WHERE created_at >= :since
""")
_TAKINGS = text("""
    WITH gone AS (
        SELECT order_id, sum(amount) AS amount
          FROM (SELECT order_id, amount FROM shop.refunds WHERE state = 'succeeded'
                 UNION ALL SELECT order_id, amount FROM shop.disputes WHERE state = 'lost') g
         GROUP BY order_id
    )
    SELECT o.currency, (sum(o.amount_total) - coalesce(sum(gone.amount), 0))::bigint AS amount
      FROM shop.orders o LEFT JOIN gone ON gone.order_id = o.id
     WHERE o.created_at >= :since AND o.status IN ('fulfilled', 'dispatched') GROUP BY o.currency ORDER BY 2 DESC
""")
_INSIDE = text("""
    SELECT o.email, o.payment_intent_id, o.updated_at,
           (SELECT json_agg(json_build_object('sku', r.sku, 'quantity', r.quantity, 'state', r.state) ORDER BY r.sku)
              FROM shop.reservations r WHERE r.order_id = o.id) AS reservations
      FROM shop.orders o WHERE o.id = :order_id
""")


@dataclass(frozen=True)
class StuckOrder:
    """`since` is when it should have moved on. `why`: unsettled, no_session, undispatched; of its money: owing (the
    provider has not taken a refund yet), refund_failed (made again), refund_waits (for the customer), disputed."""

    id: str
    status: str
    amount_total: int
    currency: str
    created_at: datetime
    since: datetime
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


@dataclass(frozen=True)
class Figures:
    orders: int
    kept: int
    live: int
    refunded: int


@dataclass(frozen=True)
class Takings:
    currency: str
    amount: int


@dataclass(frozen=True)
class Inside:
    """What only an operator sees of an order; `reservations` as JSON has them."""

    email: str | None
    payment_intent_id: str | None
    updated_at: datetime
    reservations: list[dict[str, Any]] | None


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


async def figures(connection: AsyncConnection, since: datetime) -> tuple[Figures, list[Takings]]:
    """Counts of orders since then, and what was taken by currency (minor units)."""
    counts = Figures(*(await connection.execute(_FIGURES, {"since": since})).one())
    return counts, [Takings(*row) for row in await connection.execute(_TAKINGS, {"since": since})]


async def order_inside(connection: AsyncConnection, order_id: str) -> Inside | None:
    row = (await connection.execute(_INSIDE, {"order_id": order_id})).one_or_none()
    return Inside(*row) if row else None
