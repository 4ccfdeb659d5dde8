"""What is stored: objects and pages of them, newest first, as Stripe lists them; and what happens to them.

A change is one statement: stored with its events, their deliveries, its lines in the ledger and its refund, or nothing
of it is. Its guard is the version that was read: of all that race for a session one gets through, the rest look again.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from payment_mock.database import Database
from payment_mock.domain import errors
from payment_mock.domain.objects import Change, Dispute, Json, Refund, Session
from payment_mock.domain.params import Listed
from payment_mock.domain.payments import Step
from payment_mock.faults import Rule
from payment_mock.idempotency import REMEMBER

T = TypeVar("T")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Kind(Generic[T]):
    """`name` in Stripe's words; `read` makes the object of a row; `select` has at least `id` and `seq`. Objects are
    called by the column `key`."""

    name: str
    read: Callable[[Row], T]
    select: str
    key: str = "id"

    async def get(self, database: Database, value: str, param: str = "id") -> T:
        """Raises `StripeError` 404."""
        found = await database.run(f"SELECT * FROM ({self.select}) AS o WHERE o.{self.key} = :value", value=value)
        if not found:
            raise errors.no_such(self.name, value, param)
        return self.read(found[0])

    async def page(self, database: Database, wanted: Listed) -> tuple[list[T], bool]:
        """The objects, and whether there are more. Raises `StripeError` 404."""
        compared = {comparison: value for comparison, value in wanted.where().items() if value is not None}
        conditions = [f"o.{comparison} (:value_{number})" for number, comparison in enumerate(compared)]
        values = {f"value_{number}": value for number, value in enumerate(compared.values())}
        if wanted.starting_after is not None:
            await self.get(database, wanted.starting_after, param="starting_after")
            conditions.append(f"o.seq < (SELECT seq FROM ({self.select}) AS x WHERE x.id = :after)")
            values["after"] = wanted.starting_after
        condition = " AND ".join(conditions) or "true"
        statement = f"SELECT * FROM ({self.select}) AS o WHERE {condition} ORDER BY o.seq DESC LIMIT :n"
        rows = await database.run(statement, **values, n=wanted.limit + 1)
        return [self.read(row) for row in rows[: wanted.limit]], len(rows) > wanted.limit


def _made(kind: type[T]) -> Callable[[Row], T]:
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type] # a dataclass, which no annotation says
    return lambda row: kind(**{name: _seconds(row[name]) for name in names})


def _seconds(value: Any) -> Any:
    return int(value.timestamp()) if isinstance(value, datetime) else value


def _event(row: Row) -> Json:
    """The event as it was sent, but for the count of deliveries still to come."""
    return {**json.loads(row["payload"]), "pending_webhooks": row["pending"]}


_CREATED = "floor(extract(epoch FROM o.created_at))::bigint AS created"
_REVERSALS = f"""SELECT o.*, s.currency, s.payment_intent, s.charge, {_CREATED}
    FROM payments.%s o JOIN payments.sessions s ON s.id = o.session_id"""
SESSIONS: Kind[Session] = Kind("checkout.session", _made(Session), f"SELECT o.*, {_CREATED} FROM payments.sessions o")
# A payment intent and a charge are a session seen from behind.
INTENTS, CHARGES = (replace(SESSIONS, name=name, key=name) for name in ("payment_intent", "charge"))
REFUNDS: Kind[Refund] = Kind("refund", _made(Refund), _REVERSALS % "refunds")
DISPUTES: Kind[Dispute] = Kind("dispute", _made(Dispute), _REVERSALS % "disputes")
DISPUTE_OF = replace(DISPUTES, key="session_id")
_EVENTS = """SELECT e.*, (SELECT count(*) FROM payments.deliveries d
    WHERE d.event_id = e.id AND d.status = 'pending') AS pending FROM payments.events e"""
EVENTS: Kind[Json] = Kind("event", _event, _EVENTS)

# What the webhook endpoint is subscribed to. The rest is recorded for GET /v1/events only.
_DELIVERED = r"^(checkout\.session|refund|charge\.dispute)\.|^(charge\.refunded|payment_intent\.payment_failed)$"
_ANSWER = f"{REMEMBER} RETURNING key"
_CREATE = f"""
    WITH remembered AS ({REMEMBER})
    INSERT INTO payments.sessions (id, amount_total, currency, line_items, client_reference_id, metadata,
        payment_intent_metadata, customer_email, payment_method_types, success_url, cancel_url, webhook_url,
        created_at, expires_at)
    VALUES (:id, :amount_total, :currency, :line_items, :client_reference_id, :metadata, :payment_intent_metadata,
        :customer_email, :payment_method_types, :success_url, :cancel_url, :webhook_url,
        to_timestamp(CAST(:created AS bigint)), to_timestamp(CAST(:expires_at AS bigint)))
    RETURNING id
"""
_CHANGE = f"""
    WITH changed AS (
        UPDATE payments.sessions SET version = version + 1, status = :status, payment_status = :payment_status,
            payment_method = :payment_method, payment_intent = :payment_intent, charge = :charge,
            decline_code = :decline_code, amount_refunded = :amount_refunded, dispute_status = :dispute_status,
            paid_at = to_timestamp(CAST(:paid_at AS bigint)),
            closed_at = CASE WHEN :status = 'open' THEN NULL ELSE coalesce(closed_at, clock_timestamp()) END
        WHERE id = :id AND version = :version AND (NOT :in_time OR expires_at > clock_timestamp())
        RETURNING id, currency, webhook_url
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
        SELECT l.key, l.value, now() + make_interval(secs => :patience)
        FROM changed, jsonb_each_text(CAST(:later AS jsonb)) AS l
    ), recorded AS (
        INSERT INTO payments.events (id, type, session_id, payload)
        SELECT e.value->>'id', e.value->>'type', changed.id, e.value::text
        FROM changed, json_array_elements(CAST(:events AS json)) AS e
        RETURNING id, type
    ), queued AS (
        INSERT INTO payments.deliveries (event_id, url, next_attempt_at)
        SELECT recorded.id, changed.webhook_url, now() FROM changed, recorded
        WHERE recorded.type ~ :delivered
    ), remembered AS ({REMEMBER} WHERE EXISTS (SELECT FROM changed))
    SELECT id FROM changed
"""


@dataclass
class Work:
    """One try at an operation. `patience`: seconds until what comes by itself comes. `rules`: the faults that it must
    carry out itself. `answers`: what its key is to remember. `has_news`: it makes events."""

    database: Database
    patience: float
    rules: Sequence[Rule] = ()
    answers: Sequence[Json] = ()
    has_news: bool = False
    _effect: tuple[str, dict[str, Any]] | None = None

    async def create(self, session: Session) -> Session:
        """A new session, as the rules alter it."""
        for rule in self.rules:
            session = rule.changed(session)
        self._effect = _CREATE, asdict(session)
        return session

    async def change(self, identifier: str, step: Step, kind: Kind[Any] = SESSIONS) -> Change:
        """Take the step from what the session, or the refund or dispute and its session, are. Raises what the step
        raises, and `StripeError` (404)."""
        is_session = kind is SESSIONS
        session_id = identifier if is_session else (await kind.get(self.database, identifier)).session_id
        session = await SESSIONS.get(self.database, session_id)
        # Read after the session: whoever changes one changes the session's version.
        made = step(session) if is_session else step(session, await kind.get(self.database, identifier))
        if made.events:
            reversals = [made.reversal] if made.reversal else []
            self.has_news = True
            self._effect = (
                _CHANGE,
                asdict(made.session)
                | {
                    "version": session.version,
                    "in_time": made.in_time,
                    "entries": [asdict(entry) for entry in made.entries],
                    "refunds": [asdict(each) for each in reversals if isinstance(each, Refund)],
                    "disputes": [asdict(each) for each in reversals if isinstance(each, Dispute)],
                    "later": made.later,
                    "events": made.events,
                    "delivered": _DELIVERED,
                    "patience": self.patience,
                },
            )
        return made

    async def stored(self) -> bool:
        """Store what comes of it, in one statement. False: the session has changed since it was read."""
        if self._effect is None and not self.answers:
            return True
        statement, values = self._effect or (_ANSWER, {})
        return bool(await self.database.run(statement, **values, answers=self.answers))
