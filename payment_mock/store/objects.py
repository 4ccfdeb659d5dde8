"""Reading what is stored: one object by a column of it, or a page of objects, newest first, as Stripe lists them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock.domain import errors
from payment_mock.domain.objects import Dispute, Refund, Session
from payment_mock.domain.params import Listed

T = TypeVar("T")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """`name` in Stripe's words; `read` makes the object of a row; `select` has at least `id` and `seq`. Objects are
    called by the column `key`."""

    name: str
    read: Callable[[RowMapping], T]
    select: str
    key: str = "id"

    async def get(self, connection: AsyncConnection, value: str, param: str = "id") -> T:
        """Raises `StripeError` 404."""
        statement = _text(f"SELECT * FROM ({self.select}) AS o WHERE o.{self.key} = :value")
        row = (await connection.execute(statement, {"value": value})).mappings().first()
        if row is None:
            raise errors.no_such(self.name, value, param)
        return self.read(row)

    async def page(self, connection: AsyncConnection, wanted: Listed) -> tuple[list[T], bool]:
        """The objects, and whether there are more. Raises `StripeError` 404."""
        compared = {comparison: value for comparison, value in wanted.where().items() if value is not None}
        conditions = [f"o.{comparison} (:value_{number})" for number, comparison in enumerate(compared)]
        values = {f"value_{number}": value for number, value in enumerate(compared.values())}
        if wanted.starting_after is not None:
            await self.get(connection, wanted.starting_after, param="starting_after")
            conditions.append(f"o.seq < (SELECT seq FROM ({self.select}) AS x WHERE x.id = :after)")
            values["after"] = wanted.starting_after
        condition = " AND ".join(conditions) or "true"
        statement = f"SELECT * FROM ({self.select}) AS o WHERE {condition} ORDER BY o.seq DESC LIMIT :n"
        rows = (await connection.execute(_text(statement), {**values, "n": wanted.limit + 1})).mappings().all()
        return [self.read(row) for row in rows[: wanted.limit]], len(rows) > wanted.limit


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


def _created(table: str) -> str:
    return f"floor(extract(epoch FROM {table}.created_at))::bigint AS created"


SESSIONS: Kind[Session] = Kind(
    "checkout.session",
    _made(Session),
    f"SELECT s.*, {_created('s')} FROM payments.sessions s",
)
# A payment intent and a charge are a session seen from behind.
INTENTS, CHARGES = (replace(SESSIONS, name=name, key=name) for name in ("payment_intent", "charge"))
REFUNDS: Kind[Refund] = Kind(
    "refund",
    _made(Refund),
    f"""SELECT r.*, s.currency, s.payment_intent, s.charge, {_created("r")}
    FROM payments.refunds r JOIN payments.sessions s ON s.id = r.session_id""",
)
DISPUTES: Kind[Dispute] = Kind(
    "dispute",
    _made(Dispute),
    f"""SELECT d.*, s.currency, s.payment_intent, s.charge, {_created("d")}
    FROM payments.disputes d JOIN payments.sessions s ON s.id = d.session_id""",
)
DISPUTE_OF = replace(DISPUTES, key="session_id")
EVENTS: Kind[dict[str, Any]] = Kind(
    "event",
    _event,
    """SELECT e.*, (SELECT count(*) FROM payments.deliveries d
        WHERE d.event_id = e.id AND d.status = 'pending') AS pending FROM payments.events e""",
)
