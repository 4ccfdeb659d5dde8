"""The service's parts, held together; the one way in which operations run: between two fault points, under their
idempotency key, with their events sent as soon as they are committed; and what happens by itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from payment_mock.database import SQL, UNREACHABLE, Database, brief, migrate
from payment_mock.domain import errors, payments, reversals
from payment_mock.domain.methods import CARD, DECLINED, METHODS, UNDER_WAY
from payment_mock.domain.objects import Change, Session
from payment_mock.domain.payments import Declined, Step
from payment_mock.faults import Faults, Rule
from payment_mock.idempotency import Key, held
from payment_mock.outbox import Outbox
from payment_mock.settings import Settings
from payment_mock.store import DISPUTE_OF, DISPUTES, REFUNDS, SESSIONS, Kind, Work

log = logging.getLogger(__name__)

T = TypeVar("T")
About = Session | Callable[[Database], Awaitable[Session]] | None

_TRIES = 50
_RETRY_FIRST, _RETRY_CAP = 0.1, 2.0


class Service:
    """Operations of the payment service, as routes call them."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings, self.database = settings, database
        self.faults = Faults(database)
        self.outbox = Outbox(settings, database, self.faults)
        self.is_ready = False
        self._in_flight: set[str] = set()  # keys

    async def prepare(self) -> None:
        """What a start needs of PostgreSQL; while that is away, say so and try again, for ever."""
        delay = _RETRY_FIRST
        while not self.is_ready:
            try:
                async with self.database.single() as connection:
                    await migrate(connection)
                await self.faults.load()
                await self.database.run(SQL["reclaim"])
                self.is_ready = True
            except UNREACHABLE as error:
                log.warning("PostgreSQL is not reachable yet (%s); next try in %.1f s", brief(error), delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, _RETRY_CAP)

    async def keep_house(self) -> None:
        """What happens by itself: sessions expire when their time is over, payments, refunds and disputes become what
        they come to, old idempotency keys are forgotten. Each by a guarded statement of its own: a crash in between
        leaves the rest for the next look, and what has happened changes nothing the second time, or in a second
        process."""
        run = self.database.run
        while True:
            try:
                for row in await run(SQL["over"]):
                    with suppress(payments.NotOpen):
                        await self.change(row["id"], payments.expire)
                for row in await run(SQL["due"]):
                    with suppress(errors.StripeError):  # there is no such thing, or it cannot be disputed
                        await self.become(row["subject"], row["status"])
                    await run(SQL["happened"], id=row["id"])
                await run(SQL["forget"])
            except UNREACHABLE as error:
                log.warning("Housekeeping cannot reach PostgreSQL: %s", brief(error))
            await asyncio.sleep(self.settings.poll_interval)

    async def perform(
        self, steps: Callable[[Work], Awaitable[T]], name: str = "", about: About = None, key: Key | None = None
    ) -> T:
        """Take the steps of an operation, and store what comes of them in one statement: all of it, or nothing; again,
        if something else happened meanwhile. Raises what the steps raise, and `StripeError` (409).

        Where faults are set for it, they fire around it: `before`, while its key is held and nothing is done, and
        `after`, when all is committed and nothing has been said. `about`: the session, or what finds it. Raises `Reply`
        for a key that was used before, and in a fault's place.
        """
        armed, subject, rules = self.faults.armed(name), None, list[Rule]()
        async with held(self.database, key, self._in_flight):
            if armed:
                subject = await about(self.database) if callable(about) else about
                rules = await self.faults.pass_through(f"{name}.before", subject)
            for _ in range(_TRIES):
                work = Work(self.database, self.settings.later, rules)
                result = await steps(work)
                if await work.stored():
                    break
            else:
                raise errors.api_error(409)
            if work.has_news:
                self.outbox.wake()
            if armed:
                for _ in await self.faults.pass_through(f"{name}.after", subject):
                    if subject is not None:  # paid, and the shop told so, before the reply to create is sent
                        await self.change(subject.id, payments.pay)
                        with suppress(*UNREACHABLE):  # it is paid: the outbox goes on by itself
                            await self.outbox.empty()
            return result

    async def pay(self, session_id: str, method: str = CARD) -> Session:
        """The customer pays. Idempotent; raises `NotPayable`, `Declined` or `StripeError` 404."""

        async def steps(run: Work) -> tuple[Session, str]:
            by = method
            for rule in run.rules:
                by = {"decline": DECLINED, "complete_unpaid": UNDER_WAY}[rule.action]
            return (await run.change(session_id, partial(payments.pay, by=by))).session, by

        session, by = await self.perform(steps, "pay", partial(SESSIONS.get, value=session_id))
        if (code := METHODS[by].declined) is not None:
            raise Declined(code)
        return session

    async def change(self, identifier: str, step: Step, kind: Kind[Any] = SESSIONS) -> Change:
        """What happens by itself, or by the control plane: no faults are set for it, and it has no key."""
        return await self.perform(lambda run: run.change(identifier, step, kind))

    async def become(self, subject: str, status: str) -> Change:
        """What the outside world makes of a payment (`cs_…`), a refund (`re_…`) or a dispute (`du_…`). A status that it
        cannot have (any more) changes nothing. Raises `StripeError` 404."""
        kind: Kind[Any] = DISPUTE_OF if subject.startswith("cs_") else DISPUTES
        step: Step = reversals.dispute_becomes
        if subject.startswith("re_"):
            kind, step = REFUNDS, reversals.refund_becomes
        elif subject.startswith("cs_") and status != "warning_closed":
            kind, step = SESSIONS, payments.settle if status in ("succeeded", "failed") else reversals.dispute
        return await self.change(subject, partial(step, status=status), kind)

    async def find(self, session_id: str) -> Session:
        """Raises `StripeError` 404."""
        return await SESSIONS.get(self.database, session_id, param="session")
