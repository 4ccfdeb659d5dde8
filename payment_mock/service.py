"""The service's parts, held together, and the one way in which operations run: between two fault points, under their
idempotency key, with their events sent as soon as they are committed."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from payment_mock import idempotency
from payment_mock.database import UNREACHABLE, Database
from payment_mock.domain import payments, reversals, wire
from payment_mock.domain.errors import StripeError
from payment_mock.domain.methods import CARD, DECLINED, METHODS, UNDER_WAY
from payment_mock.domain.objects import Change, Json, Session
from payment_mock.domain.payments import Declined, Step
from payment_mock.faults.plane import FaultReply, Faults
from payment_mock.idempotency import Key
from payment_mock.outbox import Outbox
from payment_mock.settings import Settings
from payment_mock.store import DISPUTE_OF, DISPUTES, REFUNDS, SESSIONS, Kind, Work

About = Session | Callable[[AsyncConnection], Awaitable[Session]] | None


class Service:
    """Operations of the payment service, as routes call them."""

    def __init__(self, settings: Settings, database: Database, faults: Faults, outbox: Outbox) -> None:
        self.settings, self.database, self.faults, self.outbox = settings, database, faults, outbox

    @asynccontextmanager
    async def operation(self, name: str, about: About = None, key: Key | None = None) -> AsyncIterator[Work]:
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
                    if subject is not None:
                        await self._pay_at_once(subject.id)
        except FaultReply as reply:
            if key is not None and reply.is_sticky:
                # In the place of the answer, or of an effect that never was.
                async with self.database.single() as connection:
                    await idempotency.store(connection, key, reply.response)
            raise

    async def answer(
        self, name: str, about: About, key: Key | None, work: Callable[[Work], Awaitable[Json]]
    ) -> Response:
        """Run an operation whose answer its key remembers, also when it is an error: execution had begun."""
        async with self.operation(name, about, key) as run:
            try:
                answer = wire.response(await work(run))
            except StripeError as error:
                if key is None:
                    raise
                answer = wire.response(error.body, error.status)
            if key is not None:
                await idempotency.store(run.connection, key, answer)
        return answer

    async def recall(self, key: Key) -> Response | None:
        async with self.database.single() as connection:
            return await idempotency.recall(connection, key)

    async def open(self, run: Work, session: Session, expand: Sequence[str] = ()) -> Json:
        for rule in run.rules:
            session = rule.changed(session)
        await run.create(session)
        return wire.session_object(session, self.settings.public_url, expand)

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
        async with self.database.single() as connection:
            made = await Work(connection, self.settings.later).change(identifier, step, kind)
        if made.events:
            self.outbox.wake()
        return made

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

    async def _pay_at_once(self, session_id: str) -> None:
        """Paid, and the shop told so, before the reply to create is sent."""
        async with self.database.single() as connection:
            await Work(connection, self.settings.later).change(session_id, payments.pay)
        with contextlib.suppress(*UNREACHABLE):  # it is paid: the outbox goes on by itself
            await self.outbox.empty()
