"""Deliveries: claimed under a lease (`next_attempt_at`), so that crashes and several processes are both fine."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock.store.changes import Delivery

# SKIP LOCKED: two processes that look at once take different rows. The lease keeps others away while one is at it.
_CLAIM = text("""
    WITH due AS (
        SELECT id FROM payments.deliveries WHERE status = 'pending' AND next_attempt_at <= now()
        ORDER BY next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ), leased AS (
        UPDATE payments.deliveries d SET next_attempt_at = now() + make_interval(secs => :lease)
        FROM due WHERE d.id = due.id RETURNING d.id, d.event_id, d.url, d.attempts
    )
    SELECT leased.id, leased.event_id, leased.url, leased.attempts, e.type AS event_type, e.payload, e.session_id,
        s.client_reference_id, s.metadata->>'order_id' AS order_id
    FROM leased JOIN payments.events e ON e.id = leased.event_id LEFT JOIN payments.sessions s ON s.id = e.session_id
""")
_DONE = text("""
    UPDATE payments.deliveries SET status = :status, attempts = attempts + 1, last_status = :code, last_error = NULL,
        delivered_at = now() WHERE id = :id AND status = 'pending'
""")
_FAILED = text("""
    UPDATE payments.deliveries SET attempts = attempts + :attempts, last_status = :code, last_error = :error,
        next_attempt_at = now() + make_interval(secs => :delay) WHERE id = :id AND status = 'pending'
""")
_RECLAIM = text("UPDATE payments.deliveries SET next_attempt_at = now() WHERE status = 'pending'")
_RESEND = text("""
    INSERT INTO payments.deliveries (event_id, url, next_attempt_at)
    SELECT event_id, url, now() FROM (
        SELECT DISTINCT ON (event_id) event_id, url FROM payments.deliveries WHERE event_id = :event_id
    ) AS first RETURNING id
""")


async def claim(connection: AsyncConnection, limit: int, lease: float) -> Sequence[Delivery]:
    """What is due, at most `limit` of it, for nobody else to take within `lease` seconds."""
    rows = (await connection.execute(_CLAIM, {"limit": limit, "lease": lease})).mappings()
    return [Delivery(**row) for row in rows]


async def delivered(connection: AsyncConnection, delivery_id: int, code: int) -> None:
    await connection.execute(_DONE, {"id": delivery_id, "status": "delivered", "code": code})


async def lost(connection: AsyncConnection, delivery_id: int) -> None:
    """Never sent and never to be: a planted fault."""
    await connection.execute(_DONE, {"id": delivery_id, "status": "lost", "code": None})


async def postponed(
    connection: AsyncConnection, delivery_id: int, delay: float, *, code: int | None, error: str, attempts: int = 1
) -> None:
    """Try again in `delay` seconds. `attempts` is 0 when none was made."""
    await connection.execute(
        _FAILED, {"id": delivery_id, "delay": delay, "code": code, "error": error, "attempts": attempts}
    )


async def reclaim(connection: AsyncConnection) -> None:
    """At start: whatever an earlier life had under lease is due now. With other processes alive this may send an
    event twice, which "at least once" allows; waiting for their leases would delay every recovery instead."""
    await connection.execute(_RECLAIM)


async def resend(connection: AsyncConnection, event_id: str) -> bool:
    """Deliver an old event once more. False: there is no such event, or it is not one that is delivered."""
    return bool((await connection.execute(_RESEND, {"event_id": event_id})).all())
