"""What is stored, as it is read: objects and pages of them, newest first, as Stripe lists them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, TypeVar

from payment_mock.database import SQL, Database
from payment_mock.domain import errors
from payment_mock.domain.objects import Dispute, Json, Refund, Session
from payment_mock.domain.params import Listed

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
        compared = wanted.where()
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
    return lambda row: kind(**{name: row[name] for name in names})


def _event(row: Row) -> Json:
    """The event as it was sent, but for the count of deliveries still to come."""
    return {**json.loads(row["payload"]), "pending_webhooks": row["pending"]}


SESSIONS: Kind[Session] = Kind("checkout.session", _made(Session), SQL["sessions"])
# A payment intent and a charge are a session seen from behind.
INTENTS, CHARGES = (replace(SESSIONS, name=name, key=name) for name in ("payment_intent", "charge"))
REFUNDS: Kind[Refund] = Kind("refund", _made(Refund), SQL["refunds"])
DISPUTES: Kind[Dispute] = Kind("dispute", _made(Dispute), SQL["disputes"])
DISPUTE_OF = replace(DISPUTES, key="session_id")
EVENTS: Kind[Json] = Kind("event", _event, SQL["events"])
