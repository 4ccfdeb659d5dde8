"""Changes of state. Each is one statement: the guarded UPDATE, the ledger entry, the events and their deliveries.

The guard (`WHERE status = 'open' …`) is the decision: of all that race for a session, PostgreSQL lets one through,
and whoever gets no row back was too late. Nothing is checked first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock.domain.events import DELIVERED
from payment_mock.domain.session import Event, Session

# A fresh delivery is already being attempted by the process that made it; others may take it only after this.
LEASE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one address (None: the configured endpoint)."""

    id: int
    event_id: str
    event_type: str
    payload: str
    url: str | None
    attempts: int
    session_id: str | None
    client_reference_id: str | None
    order_id: str | None


def _transition(update: str, also: str = "") -> TextClause:
    return text(f"""
    WITH changed AS ({update} RETURNING id, amount_total, currency){also}, recorded AS (
        INSERT INTO payments.events (id, type, session_id, payload)
        SELECT e.id, e.type, changed.id, e.payload
        FROM changed, unnest(CAST(:event_ids AS text[]), CAST(:event_types AS text[]), CAST(:payloads AS text[]))
            AS e(id, type, payload)
        RETURNING id, type
    ), queued AS (
        INSERT INTO payments.deliveries (event_id, url, next_attempt_at)
        SELECT id, CAST(:webhook_url AS text), now() + interval '{LEASE_SECONDS} seconds'
        FROM recorded WHERE type = ANY(CAST(:delivered AS text[]))
        RETURNING id, event_id
    )
    SELECT changed.id AS session_id, queued.id, queued.event_id FROM changed LEFT JOIN queued ON true
    """)


_CHARGED = """, charged AS (
    INSERT INTO payments.ledger (id, session_id, kind, amount, currency)
    SELECT CAST(:charge AS text), id, 'charge', amount_total, currency FROM changed
)"""
_SET_PAID = """
    UPDATE payments.sessions SET status = 'complete', payment_status = 'paid', charge = CAST(:charge AS text),
        payment_intent = CAST(:payment_intent AS text), decline_code = NULL, paid_at = now(),
        closed_at = coalesce(closed_at, now())
    WHERE id = CAST(:session_id AS text) AND """

_PAY = _transition(_SET_PAID + "status = 'open' AND expires_at > now()", _CHARGED)
# Late money: the control plane charges a session that is expired, or completed without payment.
_PAY_LATE = _transition(_SET_PAID + "payment_status = 'unpaid' AND status = CAST(:seen_status AS text)", _CHARGED)
_COMPLETE_UNPAID = _transition("""
    UPDATE payments.sessions SET status = 'complete', payment_intent = CAST(:payment_intent AS text), closed_at = now()
    WHERE id = CAST(:session_id AS text) AND status = 'open' AND expires_at > now()""")
_EXPIRE = _transition("""
    UPDATE payments.sessions SET status = 'expired', closed_at = now()
    WHERE id = CAST(:session_id AS text) AND status = 'open'""")
_DECLINE = _transition("""
    UPDATE payments.sessions SET payment_intent = CAST(:payment_intent AS text), decline_code = CAST(:code AS text)
    WHERE id = CAST(:session_id AS text) AND status = 'open' AND expires_at > now()""")
_REFUND = _transition(
    """
    UPDATE payments.sessions SET amount_refunded = amount_refunded + CAST(:amount AS bigint)
    WHERE id = CAST(:session_id AS text) AND payment_status = 'paid' AND amount_refunded = CAST(:seen AS bigint)
    """,
    """, entered AS (
        INSERT INTO payments.ledger (id, session_id, kind, amount, currency)
        SELECT CAST(:refund AS text), id, 'refund', CAST(:amount AS bigint), currency FROM changed
    ), refunded AS (
        INSERT INTO payments.refunds (id, session_id, amount, reason, metadata)
        SELECT CAST(:refund AS text), id, CAST(:amount AS bigint), CAST(:reason AS text), CAST(:metadata AS jsonb)
        FROM changed
    )""",
)


async def pay(connection: AsyncConnection, paid: Session, events: Sequence[Event]) -> Sequence[Delivery] | None:
    """Charge an open session. None: it was not open, or its time was over. `paid` is the session as it will be."""
    return await _run(connection, _PAY, paid, events, charge=paid.charge, payment_intent=paid.payment_intent)


async def pay_late(
    connection: AsyncConnection, paid: Session, seen_status: str, events: Sequence[Event]
) -> Sequence[Delivery] | None:
    """Charge an unpaid session that is in `seen_status`, whatever its deadline."""
    intent = paid.payment_intent
    return await _run(
        connection, _PAY_LATE, paid, events, charge=paid.charge, payment_intent=intent, seen_status=seen_status
    )


async def complete_unpaid(
    connection: AsyncConnection, done: Session, events: Sequence[Event]
) -> Sequence[Delivery] | None:
    return await _run(connection, _COMPLETE_UNPAID, done, events, payment_intent=done.payment_intent)


async def expire(connection: AsyncConnection, expired: Session, events: Sequence[Event]) -> Sequence[Delivery] | None:
    """Close an open session. None: it was not open."""
    return await _run(connection, _EXPIRE, expired, events)


async def decline(connection: AsyncConnection, declined: Session, events: Sequence[Event]) -> Sequence[Delivery] | None:
    """Record a failed attempt on an open session, which stays open."""
    return await _run(
        connection, _DECLINE, declined, events, payment_intent=declined.payment_intent, code=declined.decline_code
    )


async def refund(
    connection: AsyncConnection,
    refunded: Session,
    events: Sequence[Event],
    *,
    seen: int,
    amount: int,
    identifier: str,
    reason: str | None,
    metadata: str,
) -> Sequence[Delivery] | None:
    """Give `amount` minor units back. None: another refund came first (`seen` is out of date)."""
    return await _run(
        connection, _REFUND, refunded, events,
        seen=seen, amount=amount, refund=identifier, reason=reason, metadata=metadata,
    )  # fmt: skip


async def _run(
    connection: AsyncConnection, statement: TextClause, session: Session, events: Sequence[Event], **values: Any
) -> Sequence[Delivery] | None:
    rows = (
        await connection.execute(
            statement,
            {
                "session_id": session.id,
                "event_ids": [event.id for event in events],
                "event_types": [event.type for event in events],
                "payloads": [event.payload for event in events],
                "delivered": DELIVERED,
                "webhook_url": session.webhook_url,
                **values,
            },
        )
    ).all()
    if not rows:
        return None
    by_id = {event.id: event for event in events}
    return [
        Delivery(
            id=row.id,
            event_id=row.event_id,
            event_type=by_id[row.event_id].type,
            payload=by_id[row.event_id].payload,
            url=session.webhook_url,
            attempts=0,
            session_id=session.id,
            client_reference_id=session.client_reference_id,
            order_id=session.order_id,
        )
        for row in rows
        if row.id is not None
    ]
