"""The service's parts, held together, and the one way in which operations run: between two fault points, under their
idempotency key, with their events sent as soon as they are committed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock import reversals
from payment_mock.database import Database
from payment_mock.domain import errors, wire
from payment_mock.domain.methods import CARD, METHODS
from payment_mock.domain.objects import Change, Session
from payment_mock.faults.plane import Faults
from payment_mock.faults.replies import FaultReply
from payment_mock.faults.rules import Rule, Subject
from payment_mock.outbox.deliverer import Outbox
from payment_mock.provider import Declined, NotOpen, Provider, Step
from payment_mock.settings import Settings
from payment_mock.store import changes, idempotency
from payment_mock.store.changes import Delivery, Pace
from payment_mock.store.idempotency import Answer, Answered, Key
from payment_mock.store.objects import DISPUTES, REFUNDS, SESSIONS, Kind

Find = Callable[[AsyncConnection], Awaitable[Session]]
About = tuple[Kind[Any], str] | None


class Run:
    """An operation under way: its connection, what it has to send, and the rules that it must carry out itself."""

    def __init__(self, connection: AsyncConnection, pace: Pace) -> None:
        self.connection, self._pace = connection, pace
        self.rules: Sequence[Rule] = ()
        self.deliveries: Sequence[Delivery] = ()

    async def change(self, session_id: str, step: Step, about: About = None) -> Change:
        made, self.deliveries = await changes.change(self.connection, session_id, step, self._pace, about)
        return made


class Service:
    """Operations of the payment service, as routes call them."""

    def __init__(self, settings: Settings, database: Database, faults: Faults, outbox: Outbox) -> None:
        self.settings, self.database, self.faults, self.outbox = settings, database, faults, outbox
        self.provider = Provider(settings.public_url)
        self._pace = Pace(settings.delivery_lease, settings.later)

    @asynccontextmanager
    async def operation(
        self, name: str, find: Find | None = None, key: Key | None = None, *, takes_key: bool = False
    ) -> AsyncIterator[Run]:
        """The block is what the operation does: committed at its end, all of it or, if it raises, nothing.

        Where faults are set for it, they fire around it: `before`, while its key is held and nothing is done, and
        `after`, when all is committed and nothing has been said. `find` is the session that they are about. With
        `takes_key` the block's one statement takes the key by itself. Raises `FaultReply`, and `Answered` for a key
        that was used before.
        """
        armed = self.faults.armed(name)
        subject = Subject()
        atomic = key is not None and (armed or not takes_key)
        try:
            async with self.database.work(atomic=atomic) as connection:
                run = Run(connection, self._pace)
                if key is not None and atomic:
                    await idempotency.hold(connection, key)
                if armed:
                    subject = Subject.of(await find(connection)) if find else subject
                    run.rules = await self.faults.pass_through(f"{name}.before", subject)
                yield run
            self.outbox.dispatch(run.deliveries)
            if armed:
                for _ in await self.faults.pass_through(f"{name}.after", subject):
                    await self._pay_at_once(str(subject.session_id))
        except FaultReply as reply:
            if key is not None and reply.is_sticky:
                # In the place of the answer, or of an effect that never was.
                async with self.database.single() as connection:
                    await idempotency.store(connection, key, reply.answer)
            raise

    async def answer(
        self, name: str, find: Find | None, key: Key | None, work: Callable[[Run], Awaitable[wire.Json]]
    ) -> Answer:
        """Run an operation whose answer its key remembers, also when it is an error: execution had begun."""
        try:
            async with self.operation(name, find, key) as run:
                try:
                    answer = Answer(200, wire.encode(await work(run)))
                except errors.StripeError as error:
                    if key is None:
                        raise
                    answer = Answer(error.status, wire.encode(error.body))
                if key is not None:
                    await idempotency.store(run.connection, key, answer)
        except Answered as known:
            return known.answer
        return answer

    async def create(self, session: Session, expand: Sequence[str] = (), key: Key | None = None) -> Answer:
        """Open a session: one statement that stores it together with the answer under its key."""

        async def find(_: AsyncConnection) -> Session:
            return session

        try:
            async with self.operation("create", find, key, takes_key=True) as run:
                for rule in run.rules:
                    session = rule.changed(session)
                answer = Answer(200, wire.encode(wire.session_object(session, self.settings.public_url, expand)))
                if not await changes.create(run.connection, session, key.claim(answer) if key else None) and key:
                    await idempotency.hold(run.connection, key)
                    raise errors.idempotency_in_use(key.key)
        except Answered as known:
            return known.answer
        return answer

    async def pay(self, session_id: str, method: str = CARD) -> Session:
        """The customer pays. Idempotent; raises `NotPayable`, `Declined` or `StripeError` 404."""
        async with self.operation("pay", partial(SESSIONS.get, value=session_id)) as run:
            actions = {rule.action for rule in run.rules}
            declined = "generic_decline" if "decline" in actions else METHODS[method].declined
            if declined is not None:
                step: Step = partial(self.provider.decline, decline_code=declined)
            else:
                method = "pm_usBankAccount_processing" if "complete_unpaid" in actions else method
                step = partial(self.provider.pay, by=method)
            made = await run.change(session_id, step)
        if declined is not None:
            raise Declined(declined)
        return made.session

    async def cancel(self, session_id: str) -> Session:
        """The customer gives up: the session is expired. Cancelling twice changes nothing; raises `NotOpen` if paid."""
        try:
            return (await self.change(session_id, self.provider.expire)).session
        except NotOpen as refusal:
            if refusal.session.status == "expired":
                return refusal.session
            raise

    async def change(self, session_id: str, step: Step, about: About = None) -> Change:
        """What happens by itself, or by the control plane: no faults are set for it, and it has no key."""
        async with self.database.single() as connection:
            made, deliveries = await changes.change(connection, session_id, step, self._pace, about)
        self.outbox.dispatch(deliveries)
        return made

    async def become(self, subject: str, status: str) -> Change:
        """What the outside world makes of a payment (`cs_…`), a refund (`re_…`) or a dispute (`du_…`). A status that it
        cannot have (any more) changes nothing. Raises `StripeError` 404."""
        if subject.startswith("cs_") and status == "warning_closed":
            async with self.database.single() as connection:
                subject = (await DISPUTES.get(connection, subject, "session_id")).id
        if subject.startswith("cs_"):
            if status in ("succeeded", "failed"):
                return await self.change(subject, partial(self.provider.settle, status=status))
            return await self.change(subject, partial(reversals.dispute, status=status))
        kind: Kind[Any] = REFUNDS if subject.startswith("re_") else DISPUTES
        step = reversals.refund_becomes if subject.startswith("re_") else reversals.dispute_becomes
        async with self.database.single() as connection:
            session_id = (await kind.get(connection, subject)).session_id
        return await self.change(session_id, partial(step, status=status), (kind, subject))

    async def find(self, session_id: str) -> Session:
        """Raises `StripeError` 404."""
        async with self.database.single() as connection:
            return await SESSIONS.get(connection, session_id, param="session")

    async def _pay_at_once(self, session_id: str) -> None:
        """Paid, and the shop told so, before the reply to create is sent."""
        async with self.database.single() as connection:
            _, deliveries = await changes.change(connection, session_id, self.provider.pay, self._pace)
        for delivery in deliveries:
            await self.outbox.attempt(delivery)
