"""The service's parts, held together, and the one way in which operations run: between two fault points, under their
idempotency key, with their events sent as soon as they are committed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock import idempotency
from payment_mock.database import UNREACHABLE, Database
from payment_mock.domain import payments, reversals
from payment_mock.domain.methods import CARD, DECLINED, METHODS, UNDER_WAY
from payment_mock.domain.objects import Change, Session
from payment_mock.domain.payments import Declined, Step
from payment_mock.faults import Faults
from payment_mock.idempotency import Key, Reply
from payment_mock.outbox import Outbox
from payment_mock.settings import Settings
from payment_mock.store import DISPUTE_OF, DISPUTES, REFUNDS, SESSIONS, Kind, Work

About = Session | Callable[[AsyncConnection], Awaitable[Session]] | None


class Service:
    """Operations of the payment service, as routes call them."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.database = settings, Database(settings)
        self.faults = Faults(self.database)
        self.outbox = Outbox(settings, self.database, self.faults)

    @asynccontextmanager
    async def operation(self, name: str = "", about: About = None, key: Key | None = None) -> AsyncIterator[Work]:
        """The block is what the operation does: committed at its end, with a key all of it or, if it raises, nothing.

        Where faults are set for it, they fire around it: `before`, while its key is held and nothing is done, and
        `after`, when all is committed and nothing has been said. `about`: the session, or what finds it. Raises `Reply`
        for a key that was used before, and in a fault's place.
        """
        armed, subject = self.faults.armed(name), None
        try:
            async with self.database.transaction() if key else self.database.single() as connection:
                run = Work(connection, self.settings.later)
                if key is not None:
                    await idempotency.hold(connection, key)
                if armed:
                    subject = await about(connection) if callable(about) else about
                    run.rules = await self.faults.pass_through(f"{name}.before", subject)
                yield run
            if run.has_news:
                self.outbox.wake()
            if armed:
                for _ in await self.faults.pass_through(f"{name}.after", subject):
                    if subject is not None:  # paid, and the shop told so, before the reply to create is sent
                        await self.change(subject.id, payments.pay)
                        with suppress(*UNREACHABLE):  # it is paid: the outbox goes on by itself
                            await self.outbox.empty()
        except Reply as reply:
            if key is not None and reply.is_sticky:
                # In the place of the answer, or of an effect that never was.
                async with self.database.single() as connection:
                    await idempotency.store(connection, key, reply.response)
            raise

    async def pay(self, session_id: str, method: str = CARD) -> Session:
        """The customer pays. Idempotent; raises `NotPayable`, `Declined` or `StripeError` 404."""
        async with self.operation("pay", partial(SESSIONS.get, value=session_id)) as run:
            for rule in run.rules:
                method = {"decline": DECLINED, "complete_unpaid": UNDER_WAY}[rule.action]
            made = await run.change(session_id, partial(payments.pay, by=method))
        if (code := METHODS[method].declined) is not None:
            raise Declined(code)
        return made.session

    async def change(self, identifier: str, step: Step, kind: Kind[Any] = SESSIONS) -> Change:
        """What happens by itself, or by the control plane: no faults are set for it, and it has no key."""
        async with self.operation() as run:
            return await run.change(identifier, step, kind)

    async def become(self, subject: str, status: str) -> Change:
        """What the outside world makes of a payment (`cs_…`), a refund (`re_…`) or a dispute (`du_…`). A status that it
        cannot have (any more) changes nothing. Raises `StripeError` 404."""
        kind: Kind[Any] = DISPUTES
        step: Step = reversals.dispute_becomes
        if subject.startswith("re_"):
            kind, step = REFUNDS, reversals.refund_becomes
        elif subject.startswith("cs_") and status == "warning_closed":
            kind = DISPUTE_OF
        elif subject.startswith("cs_"):
            kind, step = SESSIONS, payments.settle if status in ("succeeded", "failed") else reversals.dispute
        return await self.change(subject, partial(step, status=status), kind)

    async def find(self, session_id: str) -> Session:
        """Raises `StripeError` 404."""
        async with self.database.single() as connection:
            return await SESSIONS.get(connection, session_id, param="session")
