"""What is stored: objects and pages of them, newest first, as Stripe lists them; and what happens to them.

A change is one statement: stored with its events, their deliveries, its lines in the ledger and its refund, or nothing
of it is. Its guard is the version that was read: of all that race for a session one gets through, the rest look again.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Generic, TypeVar

from payment_mock.database import SQL, Database
from payment_mock.domain import errors
from payment_mock.domain.objects import Change, Dispute, Json, Refund, Session
from payment_mock.domain.params import Listed
from payment_mock.domain.payments import Step
from payment_mock.faults import Rule

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
        self._effect = SQL["create"], asdict(session)
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
            effect = {
                "version": session.version,
                "in_time": made.in_time,
                "entries": [asdict(entry) for entry in made.entries],
                "refunds": [asdict(each) for each in reversals if isinstance(each, Refund)],
                "disputes": [asdict(each) for each in reversals if isinstance(each, Dispute)],
                "later": made.later,
                "patience": self.patience,
                "events": made.events,
            }
            self._effect, self.has_news = (SQL["change"], asdict(made.session) | effect), True
        return made

    async def stored(self) -> bool:
        """Store what comes of it, in one statement. False: the session has changed since it was read."""
        if self._effect is None and not self.answers:
            return True
        statement, values = self._effect or (SQL["answer"], {})
        return bool(await self.database.run(statement, **values, answers=self.answers))
