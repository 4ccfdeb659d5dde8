"""The steps that ask the payment service, and write down what it said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from checkout.errors import PaymentRefused, PaymentStuck
from checkout.orders import Order
from checkout.payments import PaymentSession, SessionRequest, SessionState
from db import order_queries, orders
from db.engine import autocommit, transaction
from runtime.failpoints import Step
from worker.payments.port import PaymentProvider

# Stripe forgets idempotency keys after 24 hours ("Idempotent requests"): an older order is looked up first.
IDEMPOTENCY_KEY_LIFETIME = timedelta(hours=20)
# Under how many idempotency keys a session is asked for, each after the first because the one before is stuck.
SESSION_KEYS = 5


@asynccontextmanager
async def _beating() -> AsyncIterator[None]:
    """Tell Temporal now and then that this goes on. A look-up reads as many pages as the shop had sessions meanwhile,
    and each call has its own limit: what must be bounded is only how long a dead worker is waited for."""

    async def beat(pause: timedelta) -> None:
        while True:
            await asyncio.sleep(pause.total_seconds())
            activity.heartbeat()

    # None of a local activity: of that, Temporal waits for no beats.
    limit = activity.info().heartbeat_timeout if activity.in_activity() else None
    beating = asyncio.create_task(beat(limit / 5)) if limit else None
    try:
        yield
    finally:
        if beating is not None:
            beating.cancel()


def _told(session: SessionState) -> SessionState:
    """An alarm for what nobody can give back through us: money whose payment the provider does not name."""
    if session.paid and session.payment_intent_id is None:
        activity.logger.error("Session %s is paid and names no payment: look at the provider", session.session_id)
    return session


class PaymentActivities:
    def __init__(self, engine: AsyncEngine, provider: PaymentProvider) -> None:
        self._engine, self._reads = engine, autocommit(engine)
        self._provider = provider

    @activity.defn
    async def create_payment_session(self, order: Order) -> Order:
        """Have the order's one session, and record it: pending → awaiting payment.

        Raises `PaymentRefused` or `PaymentStuck`, both final, only once a look-up has shown that the provider has no
        session for this order, or was refused as well (a wrong key). In either case nobody has been told of a session
        that could be paid, so the stock may go back.
        """
        async with self._reads.connect() as connection:
            request = await order_queries.session_request(connection, order)
        async with _beating():
            session = await self._obtain_session(request)
        async with transaction(self._engine, Step.RECORD_SESSION) as connection:
            return await orders.record_session(connection, order.order_id, session)

    @activity.defn
    async def retrieve_session(self, session_id: str) -> SessionState:
        return _told(await self._provider.retrieve_session(session_id))

    @activity.defn
    async def expire_session(self, session_id: str) -> SessionState:
        """Close the session, unless it is complete: the answer says which, and only the answer decides."""
        return _told(await self._provider.expire_session(session_id))

    async def _obtain_session(self, request: SessionRequest) -> PaymentSession:
        is_old = datetime.now(UTC) - request.created_at > IDEMPOTENCY_KEY_LIFETIME
        if is_old and (found := await self._provider.find_session(request)):
            return found
        number = 1
        while True:
            try:
                return await self._provider.create_session(request, number)
            except (PaymentRefused, PaymentStuck) as refusal:
                # An earlier attempt whose answer was lost may have opened one all the same.
                if found := await self._provider.find_session(request):
                    return found
                if isinstance(refusal, PaymentRefused) or number == SESSION_KEYS:
                    raise
            number += 1
