"""The service's parts, held together, and the one way in which operations run: between two fault points, under their
idempotency key, with their events sent as soon as they are committed."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from payment_mock.database import UNREACHABLE, Database
from payment_mock.domain import errors, payments, reversals
from payment_mock.domain.methods import CARD, METHODS
from payment_mock.domain.objects import Change, Session
from payment_mock.domain.payments import Declined, Transition
from payment_mock.faults import Faults
from payment_mock.idempotency import Key, held
from payment_mock.outbox import Outbox
from payment_mock.settings import Settings
from payment_mock.store import DISPUTE_OF, DISPUTES, REFUNDS, SESSIONS, Kind
from payment_mock.work import Work

G = TypeVar("G")
T = TypeVar("T")
About = Session | Callable[[Database], Awaitable[Session]] | None

_TRIES = 50


class Service:
    """Operations of the payment service, as routes call them."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings, self.database = settings, database
        self.faults = Faults(database)
        self.outbox = Outbox(settings, database, self.faults)
        self.is_ready = False
        self._in_flight: set[str] = set()  # keys

    async def perform(
        self,
        steps: Callable[[Work, G], Awaitable[T]],
        given: G,
        name: str = "",
        about: About = None,
        key: Key | None = None,
    ) -> T:
        """Take an operation's steps with what it is given, and store what comes of them in one statement: all of it, or
        nothing; again, if something else happened meanwhile. Raises what the steps raise, and `StripeError` (409).

        Faults that are set for it stand around it: `before`, while its key is held and nothing is done, where they may
        give it something else; and `after`, when all is committed and nothing has been said. `about`: the session, or
        what finds it. Raises `Reply` for a key that was used before, and in a fault's place.
        """
        armed, subject = self.faults.armed(name), None
        async with held(self.database, key, self._in_flight):
            if armed:
                subject = await about(self.database) if callable(about) else about
                for rule in await self.faults.pass_through(f"{name}.before", subject):
                    given = rule.instead_of(given)
            for _ in range(_TRIES):
                work = Work(self.database, self.settings.later)
                result = await steps(work, given)
                if await work.stored():
                    break
            else:
                raise errors.api_error(409)
            if work.has_news:
                self.outbox.wake()
            if armed:
                for rule in await self.faults.pass_through(f"{name}.after", subject):
                    if rule.action == "pay" and subject is not None:
                        await self._pay_before_the_reply(subject)
            return result

    async def _pay_before_the_reply(self, session: Session) -> None:
        """The shop is told of the payment while it still waits to hear of the session."""
        await self.change(session.id, payments.pay)
        with suppress(*UNREACHABLE):  # it is paid: the outbox goes on by itself
            await self.outbox.empty()

    async def pay(self, session_id: str, method: str = CARD) -> Session:
        """The customer pays. Idempotent; raises `NotPayable`, `Declined` or `StripeError` 404."""

        async def steps(work: Work, by: str) -> tuple[Session, str]:
            return (await work.change(session_id, partial(payments.pay, by=by))).session, by

        session, by = await self.perform(steps, method, "pay", partial(SESSIONS.get, value=session_id))
        if (code := METHODS[by].declined) is not None:
            raise Declined(code)
        return session

    async def change(self, identifier: str, transition: Transition, kind: Kind[Any] = SESSIONS) -> Change:
        """Without faults or key: for housekeeping, the payment page's Cancel, and the control plane."""
        return await self.perform(lambda work, _: work.change(identifier, transition, kind), None)

    async def become(self, subject: str, status: str) -> Change:
        """What the outside world makes of a payment (`cs_…`), a refund (`re_…`) or a dispute (`du_…`). A status that it
        cannot have (any more) changes nothing. Raises `StripeError` 404."""
        kind, transition = _becoming(subject, status)
        return await self.change(subject, partial(transition, status=status), kind)

    async def find(self, session_id: str) -> Session:
        """Raises `StripeError` 404."""
        return await SESSIONS.get(self.database, session_id, param="session")

    async def reported(self, session: Session) -> Session:
        """As `report` rules have it."""
        for rule in await self.faults.fire("report", session.names):
            session = rule.changed(session)
        return session


def _becoming(subject: str, status: str) -> tuple[Kind[Any], Transition]:
    """Of what, and how."""
    if subject.startswith("re_"):
        return REFUNDS, reversals.refund_becomes
    if not subject.startswith("cs_"):
        return DISPUTES, reversals.dispute_becomes
    if status in ("succeeded", "failed"):
        return SESSIONS, payments.settle
    # The bank of a payment that only inquired closes its one inquiry; or it begins a dispute.
    return (DISPUTE_OF, reversals.dispute_becomes) if status == "warning_closed" else (SESSIONS, reversals.dispute)
