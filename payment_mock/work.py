"""What happens to what is stored. A change is one statement: stored with its events, their deliveries, its lines in the
ledger and its refund, or nothing of it is. Its guard is the version that was read: of all that race for a session one
gets through, the rest try again."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from payment_mock.database import SQL, Database
from payment_mock.domain.objects import Change, Dispute, Json, Refund, Session
from payment_mock.domain.payments import Transition
from payment_mock.store import SESSIONS, Kind


@dataclass
class Work:
    """One try at an operation. `patience`: delay before scheduled outcomes (settlement, late failures), in seconds.
    `answers`: what its key is to remember. `has_news`: it makes events."""

    database: Database
    patience: float
    answers: Sequence[Json] = ()
    has_news: bool = False
    _effect: tuple[str, dict[str, Any]] | None = None

    async def create(self, session: Session) -> Session:
        self._effect = SQL["create"], asdict(session)
        return session

    async def change(self, identifier: str, transition: Transition, kind: Kind[Any] = SESSIONS) -> Change:
        """Of a session, or of a refund or dispute with its session. Raises as the transition, and `StripeError` 404."""
        is_session = kind is SESSIONS
        session_id = identifier if is_session else (await kind.get(self.database, identifier)).session_id
        session = await SESSIONS.get(self.database, session_id)
        # Read after the session: whoever changes one changes the session's version.
        made = transition(session) if is_session else transition(session, await kind.get(self.database, identifier))
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
