"""The service's parts, held together, and the one way in which operations run: between two fault points, under their
idempotency key, with their events sent as soon as they are committed."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any, TypeVar

from payment_mock import idempotency
from payment_mock.database import UNREACHABLE, Database
from payment_mock.domain import payments, reversals
from payment_mock.domain.methods import CARD, DECLINED, METHODS, UNDER_WAY
from payment_mock.domain.objects import Change, Session
from payment_mock.domain.payments import Declined, Step
from payment_mock.faults import Faults
from payment_mock.idempotency import Key, Reply, held
from payment_mock.outbox import Outbox
from payment_mock.settings import Settings
from payment_mock.store import DISPUTE_OF, DISPUTES, REFUNDS, SESSIONS, Kind, Work

T = TypeVar("T")
About = Session | Callable[[Database], Awaitable[Session]] | None


class Service:
    """Operations of the payment service, as routes call them."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.database = settings, Database(settings)
        self.faults = Faults(self.database)
        self.outbox = Outbox(settings, self.database, self.faults)
        self._in_flight: set[str] = set()  # keys

    async def perform(
        self, steps: Callable[[Work], Awaitable[T]], name: str = "", about: About = None, key: Key | None = None
    ) -> T:
        """Take the steps of an operation, and store what comes of them in one statement: all of it, or nothing.

        Where faults are set for it, they fire around it: `before`, while its key is held and nothing is done, and
        `after`, when all is committed and nothing has been said. `about`: the session, or what finds it. Raises `Reply`
        for a key that was used before, and in a fault's place.
        """
        armed, subject = self.faults.armed(name), None
        try:
            async with held(self.database, key, self._in_flight) if key else nullcontext():
                run = Work(self.database, self.settings.later)
                if armed:
                    subject = await about(self.database) if callable(about) else about
                    run.rules = await self.faults.pass_through(f"{name}.before", subject)
                result = await run.perform(steps)
            if run.has_news:
                self.outbox.wake()
            if armed:
                for _ in await self.faults.pass_through(f"{name}.after", subject):
                    if subject is not None:  # paid, and the shop told so, before the reply to create is sent
                        await self.change(subject.id, payments.pay)
                        with suppress(*UNREACHABLE):  # it is paid: the outbox goes on by itself
                            await self.outbox.empty()
            return result
        except Reply as reply:
            if key is not None and reply.is_sticky:
                await idempotency.replace(self.database, key, reply.response)
            raise

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
        return await SESSIONS.get(self.database, session_id, param="session")
