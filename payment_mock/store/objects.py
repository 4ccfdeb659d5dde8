"""Reading what is stored: one object by a column of it, or a page of objects, newest first, as Stripe lists them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock.domain import errors
from payment_mock.domain.objects import Dispute, Page, Refund, Session

T = TypeVar("T")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Kind(Generic[T]):
    """`name` in Stripe's words; `select` has at least `id`, `seq` and `created`; `read` makes the object of a row."""

    name: str
    select: str
    read: Any

    async def find(self, connection: AsyncConnection, value: str, by: str = "id") -> T | None:
        statement = _text(f"SELECT * FROM ({self.select}) AS o WHERE o.{by} = :value")
        row = (await connection.execute(statement, {"value": value})).mappings().first()
        return self.read(row) if row else None

    async def get(self, connection: AsyncConnection, value: str, by: str = "id", param: str = "id") -> T:
        """Raises `StripeError` 404."""
        found = await self.find(connection, value, by)
        if found is None:
            raise errors.no_such(self.name, value, param)
        return found

    async def page(
        self, connection: AsyncConnection, page: Page, **among: Sequence[str | None]
    ) -> tuple[list[T], bool]:
        """The objects, and whether there are more. `among` are values by column; none: any. Raises `StripeError`."""
        wanted = {name: [value for value in values if value is not None] for name, values in among.items()}
        where = [f"o.{name} = ANY(:{name})" for name, values in wanted.items() if values]
        if page.since is not None:
            where.append("o.created >= :since")
        if page.until is not None:
            where.append("o.created < :until")
        if page.after is not None:
            await self.get(connection, page.after, param="starting_after")
            where.append(f"o.seq < (SELECT seq FROM ({self.select}) AS x WHERE x.id = :after)")
        condition = " AND ".join(where) or "true"
        statement = f"SELECT * FROM ({self.select}) AS o WHERE {condition} ORDER BY o.seq DESC LIMIT :n"
        bound = {"n": page.limit + 1, "since": page.since, "until": page.until, "after": page.after, **wanted}
        known = {name: value for name, value in bound.items() if f":{name}" in statement}
        rows = (await connection.execute(_text(statement), known)).mappings().all()
        return [self.read(row) for row in rows[: page.limit]], len(rows) > page.limit


@cache
def _text(statement: str) -> TextClause:
    return text(statement)


def _made(kind: type[T]) -> Any:
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type] # a dataclass, which no annotation says
    return lambda row: kind(**{name: row[name] for name in names})


def _event(row: Row) -> dict[str, Any]:
    """The event as it was sent, but for the count of deliveries still to come."""
    return {**json.loads(row["payload"]), "pending_webhooks": row["pending"]}


def _seconds(column: str, name: str) -> str:
    return f"floor(extract(epoch FROM {column}))::bigint AS {name}"


SESSIONS: Kind[Session] = Kind(
    "checkout.session",
    f"""SELECT id, seq, amount_total, currency, line_items, success_url, cancel_url, client_reference_id, metadata,
        payment_intent_metadata, customer_email, payment_method_types, webhook_url, version, status, payment_status,
        payment_method, payment_intent, charge, decline_code, amount_refunded, dispute_status,
        {_seconds("created_at", "created")}, {_seconds("expires_at", "expires_at")}, {_seconds("paid_at", "paid_at")}
    FROM payments.sessions""",
    _made(Session),
)
REFUNDS: Kind[Refund] = Kind(
    "refund",
    f"""SELECT r.id, r.seq, r.session_id, r.amount, s.currency, r.reason, r.metadata, r.status, r.failure_reason,
        s.payment_intent, s.charge, {_seconds("r.created_at", "created")}
    FROM payments.refunds r JOIN payments.sessions s ON s.id = r.session_id""",
    _made(Refund),
)
DISPUTES: Kind[Dispute] = Kind(
    "dispute",
    f"""SELECT d.id, d.seq, d.session_id, d.amount, s.currency, d.reason, d.status, d.due_by, d.has_evidence,
        s.payment_intent, s.charge, {_seconds("d.created_at", "created")}
    FROM payments.disputes d JOIN payments.sessions s ON s.id = d.session_id""",
    _made(Dispute),
)
EVENTS: Kind[dict[str, Any]] = Kind(
    "event",
    f"""SELECT e.id, e.seq, e.type, e.payload, {_seconds("e.created_at", "created")}, (SELECT count(*)
        FROM payments.deliveries d WHERE d.event_id = e.id AND d.status = 'pending') AS pending
    FROM payments.events e""",
    _event,
)
