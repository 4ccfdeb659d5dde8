"""What is stored: objects and pages of them, newest first, as Stripe lists them; and what happens to them.

A change is one statement: stored with its events, their deliveries, its lines in the ledger and its refund, or nothing
of it is. Its guard is the version that was read: of all that race for a session one gets through, the rest look again.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import RowMapping, TextClause, text

from payment_mock.database import Database
from payment_mock.domain import errors
from payment_mock.domain.objects import Change, Dispute, Refund, Session
from payment_mock.domain.params import Listed
from payment_mock.domain.payments import Step
from payment_mock.domain.wire import encode
from payment_mock.faults import Rule
from payment_mock.idempotency import REMEMBER

T = TypeVar("T")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """`name` in Stripe's words; `read` makes the object of a row; `select` has at least `id` and `seq`. Objects are
    called by the column `key`."""

    name: str
    read: Callable[[RowMapping], T]
    select: str
    key: str = "id"

    async def get(self, database: Database, value: str, param: str = "id") -> T:
        """Raises `StripeError` 404."""
        statement = _text(f"SELECT * FROM ({self.select}) AS o WHERE o.{self.key} = :value")
        found = await database.run(statement, value=value)
        if not found:
            raise errors.no_such(self.name, value, param)
        return self.read(found[0]._mapping)

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
        rows = await database.run(_text(statement), **values, n=wanted.limit + 1)
        return [self.read(row._mapping) for row in rows[: wanted.limit]], len(rows) > wanted.limit


@cache
def _text(statement: str) -> TextClause:
    return text(statement)


def _made(kind: type[T]) -> Callable[[RowMapping], T]:
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type] # a dataclass, which no annotation says
    return lambda row: kind(**{name: _seconds(row[name]) for name in names})


def _seconds(value: Any) -> Any:
    return int(value.timestamp()) if isinstance(value, datetime) else value


def _event(row: RowMapping) -> dict[str, Any]:
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
EVENTS: Kind[dict[str, Any]] = Kind("event", _event, _EVENTS)

_TRIES = 50
# What the webhook endpoint is subscribed to. The rest is recorded for GET /v1/events only.
_DELIVERED = r"^(checkout\.session|refund|charge\.dispute)\.|^(charge\.refunded|payment_intent\.payment_failed)$"
_ANSWER = text(f"{REMEMBER} RETURNING key")
_CREATE = text(f"""
    WITH remembered AS ({REMEMBER})
    INSERT INTO payments.sessions (id, amount_total, currency, line_items, client_reference_id, metadata,
        payment_intent_metadata, customer_email, payment_method_types, success_url, cancel_url, webhook_url,
        created_at, expires_at)
    VALUES (:id, :amount_total, :currency, CAST(:line_items AS jsonb), :client_reference_id, CAST(:metadata AS jsonb),
        CAST(:payment_intent_metadata AS jsonb), :customer_email, :payment_method_types, :success_url, :cancel_url,
        :webhook_url, to_timestamp(CAST(:created AS bigint)), to_timestamp(CAST(:expires_at AS bigint)))
    RETURNING id
""")
_CHANGE = text(f"""
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
""")


@dataclass
class Work:
    """An operation under way. `patience`: seconds until what comes by itself comes. `rules`: the faults that it must
    carry out itself. `answers`: what its key is to remember. `has_news`: it made events."""

    database: Database
    patience: float
    rules: Sequence[Rule] = ()
    answers: str | None = None
    has_news: bool = False
    _effect: tuple[TextClause, dict[str, Any]] | None = None

    async def perform(self, steps: Callable[["Work"], Awaitable[T]]) -> T:
        """Take the steps, and store in one statement what comes of them; again, if something else happened meanwhile.
        Raises what the steps raise, and `StripeError` (409)."""
        for _ in range(_TRIES):
            self._effect, self.has_news = None, False
            result = await steps(self)
            if await self._store():
                return result
        raise errors.api_error(409)

    async def create(self, session: Session) -> Session:
        """A new session, as the rules alter it."""
        for rule in self.rules:
            session = rule.changed(session)
        names = ("line_items", "metadata", "payment_intent_metadata")
        documents = {name: json.dumps(getattr(session, name)) for name in names}
        values = asdict(session) | documents | {"payment_method_types": list(session.payment_method_types)}
        self._effect = (_CREATE, values)
        return session

    async def change(self, identifier: str, step: Step, kind: Kind[Any] = SESSIONS) -> Change:
        """Take the step from what the session, or the refund or dispute and its session, are. Raises what the step
        raises, and `StripeError` (404)."""
        is_session = kind is SESSIONS
        session_id = identifier if is_session else (await kind.get(self.database, identifier)).session_id
        session = await SESSIONS.get(self.database, session_id)
        # Read after the session: whoever changes one changes the session's version.
        made = step(session) if is_session else step(session, await kind.get(self.database, identifier))
        values = {
            **asdict(made.session),
            "version": session.version,
            "in_time": made.in_time,
            "entries": _rows(made.entries),
            "refunds": _rows([made.reversal] if isinstance(made.reversal, Refund) else []),
            "disputes": _rows([made.reversal] if isinstance(made.reversal, Dispute) else []),
            "later": json.dumps(made.later),
            "events": encode(made.events).decode(),
            "delivered": _DELIVERED,
            "patience": self.patience,
        }
        if made.events:
            self._effect, self.has_news = (_CHANGE, values), True
        return made

    async def _store(self) -> bool:
        """Whether it is stored: not if the session has changed since it was read."""
        if self._effect is None and self.answers is None:
            return True
        statement, values = self._effect or (_ANSWER, {})
        return bool(await self.database.run(statement, **values, answers=self.answers or "[]"))


def _rows(objects: Sequence[Any]) -> str:
    return json.dumps([asdict(each) for each in objects])
