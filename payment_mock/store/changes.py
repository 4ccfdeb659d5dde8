"""Storing what happens: a new session, and every change of one. Each is a single statement.

A change is stored with its events, their deliveries, its lines in the ledger and its refund, or nothing of it is. The
guard is the version that was read: of all that race for a session PostgreSQL lets one through, and the others get no
row back and look again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock.domain import errors
from payment_mock.domain.events import DELIVERED
from payment_mock.domain.objects import Change, Session
from payment_mock.provider import Step
from payment_mock.store.idempotency import CLAIMED
from payment_mock.store.objects import SESSIONS, Kind

_TRIES = 50


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


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: how long a delivery is left to whoever attempts it, and until what comes by itself comes."""

    lease: float
    later: float


_CREATE = """
    INSERT INTO payments.sessions (id, amount_total, currency, line_items, client_reference_id, metadata,
        payment_intent_metadata, customer_email, payment_method_types, success_url, cancel_url, webhook_url,
        created_at, expires_at)
    SELECT CAST(:id AS text), CAST(:amount_total AS bigint), CAST(:currency AS text), CAST(:line_items AS jsonb),
        CAST(:client_reference_id AS text), CAST(:metadata AS jsonb), CAST(:payment_intent_metadata AS jsonb),
        CAST(:customer_email AS text), CAST(:payment_method_types AS text[]), CAST(:success_url AS text),
        CAST(:cancel_url AS text), CAST(:webhook_url AS text), to_timestamp(CAST(:created AS bigint)),
        to_timestamp(CAST(:expires_at AS bigint))
"""
_CREATE_FREELY = text(f"{_CREATE} RETURNING id")
_CREATE_ONCE = text(f"WITH {CLAIMED} {_CREATE} FROM claimed RETURNING id")
_CHANGEABLE = (
    "status", "payment_status", "payment_method", "payment_intent", "charge", "decline_code", "amount_refunded",
    "dispute_status", "paid_at",
)  # fmt: skip
# A fresh delivery is leased to the process that made it, which attempts it at once.
_CHANGE = text("""
    WITH changed AS (
        UPDATE payments.sessions SET version = version + 1, status = :status, payment_status = :payment_status,
            payment_method = :payment_method, payment_intent = :payment_intent, charge = :charge,
            decline_code = :decline_code, amount_refunded = :amount_refunded, dispute_status = :dispute_status,
            paid_at = to_timestamp(CAST(:paid_at AS bigint)),
            closed_at = CASE WHEN :status = 'open' THEN NULL ELSE coalesce(closed_at, clock_timestamp()) END
        WHERE id = :id AND version = :version AND (NOT :in_time OR expires_at > clock_timestamp())
        RETURNING id, currency
    ), entered AS (
        INSERT INTO payments.ledger (id, session_id, kind, amount, currency)
        SELECT e.id, changed.id, e.kind, e.amount, changed.currency
        FROM changed, jsonb_to_recordset(CAST(:entries AS jsonb)) AS e(id text, kind text, amount bigint)
    ), refunded AS (
        INSERT INTO payments.refunds (id, session_id, amount, reason, metadata, created_at, status, failure_reason)
        SELECT r.id, changed.id, r.amount, r.reason, r.metadata, to_timestamp(r.created), r.status, r.failure_reason
        FROM changed, jsonb_to_recordset(CAST(:refunds AS jsonb)) AS r(id text, amount bigint, reason text,
            metadata jsonb, created bigint, status text, failure_reason text)
        ON CONFLICT (id) DO UPDATE SET status = excluded.status, failure_reason = excluded.failure_reason
    ), disputed AS (
        INSERT INTO payments.disputes (id, session_id, amount, reason, status, created_at, due_by, has_evidence)
        SELECT d.id, changed.id, d.amount, d.reason, d.status, to_timestamp(d.created), d.due_by, d.has_evidence
        FROM changed, jsonb_to_recordset(CAST(:disputes AS jsonb)) AS d(id text, amount bigint, reason text,
            status text, created bigint, due_by bigint, has_evidence boolean)
        ON CONFLICT (id) DO UPDATE SET status = excluded.status, has_evidence = excluded.has_evidence
    ), postponed AS (
        INSERT INTO payments.later (subject, status, due_at)
        SELECT l.subject, l.status, now() + make_interval(secs => :patience)
        FROM changed, jsonb_to_recordset(CAST(:later AS jsonb)) AS l(subject text, status text)
    ), recorded AS (
        INSERT INTO payments.events (id, type, session_id, payload)
        SELECT e.id, e.type, changed.id, e.payload FROM changed, unnest(
            CAST(:event_ids AS text[]), CAST(:event_types AS text[]), CAST(:payloads AS text[])) AS e(id, type, payload)
        RETURNING id, type
    ), queued AS (
        INSERT INTO payments.deliveries (event_id, url, next_attempt_at)
        SELECT id, CAST(:webhook_url AS text), now() + make_interval(secs => :lease)
        FROM recorded WHERE type = ANY(CAST(:delivered AS text[])) RETURNING id, event_id
    )
    SELECT queued.id, queued.event_id FROM changed LEFT JOIN queued ON true
""")


async def create(connection: AsyncConnection, session: Session, claim: Mapping[str, Any] | None) -> bool:
    """Store a new session, and the answer under an idempotency key with it. False: the key is taken, nothing is stored.

    `claim` is what `idempotency.Key.claim` gives.
    """
    values = asdict(session) | {
        "line_items": json.dumps(session.line_items),
        "metadata": json.dumps(session.metadata),
        "payment_intent_metadata": json.dumps(session.payment_intent_metadata),
        "payment_method_types": list(session.payment_method_types),
    }
    statement = _CREATE_FREELY if claim is None else _CREATE_ONCE
    return (await connection.execute(statement, {**values, **(claim or {})})).first() is not None


async def change(
    connection: AsyncConnection, session_id: str, step: Step, pace: Pace, about: tuple[Kind[Any], str] | None = None
) -> tuple[Change, Sequence[Delivery]]:
    """Take the step from what the session, and the refund or dispute that it is `about`, are: whatever else happens to
    them meanwhile. Raises what the step raises."""
    for _ in range(_TRIES):
        session = await SESSIONS.get(connection, session_id)
        # Read after the session: whoever changes one changes the session's version.
        made = step(session, await about[0].get(connection, about[1])) if about else step(session)
        if not made.events:
            return made, ()
        deliveries = await _store(connection, session.version, made, pace)
        if deliveries is not None:
            return made, deliveries
    raise errors.api_error(409)


async def _store(connection: AsyncConnection, version: int, made: Change, pace: Pace) -> Sequence[Delivery] | None:
    """None: the session has changed since it had this version."""
    session, by_id = made.session, {event.id: event for event in made.events}
    values = {
        **{name: getattr(session, name) for name in _CHANGEABLE},
        "id": session.id,
        "version": version,
        "in_time": made.in_time,
        "entries": json.dumps([asdict(entry) for entry in made.entries]),
        "refunds": json.dumps([asdict(made.refund)] if made.refund else []),
        "disputes": json.dumps([asdict(made.dispute)] if made.dispute else []),
        "later": json.dumps([asdict(each) for each in made.later]),
        "event_ids": list(by_id),
        "event_types": [event.type for event in made.events],
        "payloads": [event.payload for event in made.events],
        "delivered": DELIVERED,
        "webhook_url": session.webhook_url,
        "lease": pace.lease,
        "patience": pace.later,
    }
    rows = (await connection.execute(_CHANGE, values)).all()
    if not rows:
        return None
    whose = (session.webhook_url, 0, session.id, session.client_reference_id, session.order_id)
    return [
        Delivery(row.id, row.event_id, by_id[row.event_id].type, by_id[row.event_id].payload, *whose)
        for row in rows
        if row.id is not None
    ]
