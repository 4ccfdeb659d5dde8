"""The service's parts, held together, and the one way in which operations run: gates, idempotency, dispatch."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock import provider
from payment_mock.database import Database
from payment_mock.domain import errors, wire
from payment_mock.domain.session import Session
from payment_mock.faults.plane import Faults, changed, subject_of
from payment_mock.faults.replies import FaultReply
from payment_mock.faults.rules import Rule, Subject
from payment_mock.outbox.deliverer import Outbox
from payment_mock.settings import Settings
from payment_mock.store import idempotency, sessions
from payment_mock.store.idempotency import Key
from payment_mock.store.transitions import Delivery

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effect:
    """What an operation did: its answer, and the deliveries to start once it is committed."""

    body: bytes
    deliveries: Sequence[Delivery] = ()
    status: int = 200


Work = Callable[[AsyncConnection], Awaitable[Effect]]


class Service:
    """Operations of the payment service, as routes call them."""

    def __init__(self, settings: Settings, database: Database, faults: Faults, outbox: Outbox) -> None:
        self.settings = settings
        self.database = database
        self.faults = faults
        self.outbox = outbox

    async def create(self, session: Session, expand: Sequence[str] = (), key: Key | None = None) -> Answer:
        """Open a session: one statement that stores it together with the answer under its key."""
        subject = subject_of(session)
        if self.faults.armed("create"):
            return await self._create_with_faults(session, expand, key, subject)
        body = wire.encode(wire.session_object(session, self.settings.public_url, expand))
        claim = key.claim(200, body) if key else None
        async with self.database.single() as connection:
            if not await sessions.create(connection, session, claim):
                return await self._recall(connection, key)
        return Answer(200, body)

    async def write(self, operation: str, subject: Subject, key: Key | None, work: Work) -> Answer:
        """Run an operation that changes something. Effect and answer are committed together, or neither is."""
        held = self.faults.armed(operation)
        deliveries: Sequence[Delivery] = ()
        try:
            async with self.database.work(atomic=key is not None) as connection:
                if key is not None and not await idempotency.claim(connection, key):
                    return await self._recall(connection, key)
                if held:
                    await self.faults.pass_through(f"{operation}.before", subject)
                try:
                    effect = await work(connection)
                    answer, deliveries = Answer(effect.status, effect.body), effect.deliveries
                except errors.StripeError as error:
                    # Execution had begun, so the error is what the key remembers.
                    answer = Answer(error.status, wire.encode(error.body))
                if key is not None:
                    await idempotency.store(connection, key, answer.status, answer.body)
        except FaultReply as reply:
            await self._remember(key, reply)
            raise
        self.outbox.dispatch(deliveries)
        if held:
            await self.after(operation, subject, key)
        return answer

    async def after(self, operation: str, subject: Subject, key: Key | None = None) -> Sequence[Rule]:
        """The `after` point: all is committed, nothing has been said."""
        try:
            return await self.faults.pass_through(f"{operation}.after", subject)
        except FaultReply as reply:
            await self._remember(key, reply)
            raise

    async def read(self, operation: str, subject: Subject) -> None:
        """The two points of an operation that only reads."""
        if self.faults.armed(operation):
            await self.faults.pass_through(f"{operation}.before", subject)
            await self.faults.pass_through(f"{operation}.after", subject)

    async def find(self, session_id: str) -> Session:
        """Raises `StripeError` 404."""
        async with self.database.single() as connection:
            return provider.session_or_404(await sessions.get(connection, session_id), session_id)

    async def pay(self, session_id: str) -> Session:
        """The customer pays. Idempotent; raises `NotPayable`, `Declined` or `StripeError` 404."""
        async with self.database.single() as connection:
            session = provider.session_or_404(await sessions.get(connection, session_id), session_id)
            if not self.faults.armed("pay"):
                session, deliveries = await provider.pay(connection, session, self.settings.public_url)
                self.outbox.dispatch(deliveries)
                return session
        subject = subject_of(session)
        rules = await self.faults.pass_through("pay.before", subject, session.deadline)
        session = await self._pay_with_faults(session, rules)
        await self.after("pay", subject)
        return session

    async def decline(self, session_id: str, decline_code: str) -> Session:
        """The customer's card is declined; the session stays open. Raises `NotPayable` or `StripeError` 404."""
        async with self.database.single() as connection:
            session = provider.session_or_404(await sessions.get(connection, session_id), session_id)
            session, deliveries = await provider.decline(connection, session, decline_code)
        self.outbox.dispatch(deliveries)
        return session

    async def cancel(self, session_id: str) -> Session:
        """The customer gives up: the session is expired. Cancelling twice changes nothing; raises `NotOpen` if paid."""
        async with self.database.single() as connection:
            session = provider.session_or_404(await sessions.get(connection, session_id), session_id)
            try:
                session, deliveries = await provider.expire(connection, session, self.settings.public_url)
            except provider.NotOpen as refusal:
                if refusal.session.status == "expired":
                    return refusal.session
                raise
        self.outbox.dispatch(deliveries)
        return session

    async def _pay_with_faults(self, session: Session, rules: Sequence[Rule]) -> Session:
        actions = {rule.action for rule in rules}
        if "decline" in actions and session.status == "open":
            await self.decline(session.id, "generic_decline")
            raise Declined("generic_decline")
        act = provider.complete_unpaid if "complete_unpaid" in actions else provider.pay
        async with self.database.single() as connection:
            session, deliveries = await act(connection, session, self.settings.public_url)
        self.outbox.dispatch(deliveries)
        return session

    async def _create_with_faults(
        self, session: Session, expand: Sequence[str], key: Key | None, subject: Subject
    ) -> Answer:
        try:
            async with self.database.work(atomic=key is not None) as connection:
                if key is not None and not await idempotency.claim(connection, key):
                    return await self._recall(connection, key)
                for rule in await self.faults.pass_through("create.before", subject):
                    session = changed(session, rule)
                body = wire.encode(wire.session_object(session, self.settings.public_url, expand))
                await sessions.create(connection, session, None)
                if key is not None:
                    await idempotency.store(connection, key, 200, body)
        except FaultReply as reply:
            await self._remember(key, reply)
            raise
        for _ in await self.after("create", subject_of(session), key):
            await self._pay_at_once(session)
        return Answer(200, body)

    async def _pay_at_once(self, session: Session) -> None:
        """Paid, and the shop told so, before the reply to create is sent."""
        async with self.database.single() as connection:
            _, deliveries = await provider.pay(connection, session, self.settings.public_url)
        for delivery in deliveries:
            await self.outbox.attempt(delivery)

    async def recall(self, key: Key | None) -> Answer | None:
        """The stored answer of a key, None for one that is not known. Raises `StripeError` if it stands for another
        request."""
        if key is None:
            return None
        async with self.database.single() as connection:
            return await self._recall(connection, key) if await idempotency.is_known(connection, key) else None

    async def _recall(self, connection: AsyncConnection, key: Key | None) -> Answer:
        if key is None:
            raise errors.api_error(500)
        stored = await idempotency.recall(connection, key)
        headers = {"idempotent-replayed": "true", "original-request": stored.original_request}
        if stored.status >= 500:
            headers["stripe-should-retry"] = "false"
        return Answer(stored.status, stored.body, headers)

    async def _remember(self, key: Key | None, reply: FaultReply) -> None:
        """Store a sticky error under the key: in the place of the answer, or of an effect that never was."""
        if key is None or not reply.sticky:
            return
        async with self.database.transaction() as connection:
            await idempotency.claim(connection, key)
            await idempotency.store(connection, key, reply.error.status, wire.encode(reply.error.body))


class Declined(Exception):
    """The card was declined; `code` is Stripe's decline code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
