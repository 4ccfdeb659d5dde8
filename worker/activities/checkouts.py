"""The steps of a checkout: those that our own database decides, those that ask the provider for the order's session.

Every step costs Temporal a record and the worker a round through the SDK, so those that follow each other anyway go
together (`open_checkout`, `ask_provider`; docs/performance.md). If the second one does not end well at once, for
whatever reason, only the first one's result is returned: the workflow's next step is the same work, retried.
"""

import asyncio
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from checkout.contracts import Answer, AskInput, FindOrderInput, Opened, OpenOrderInput, PaidInput, ReleaseInput
from checkout.errors import CheckoutError, PaymentRefused, PaymentStuck
from checkout.orders import LIVE, Order, OrderStatus
from checkout.sessions import PaymentSession, ProviderSession, SessionRequest
from checkout.settling import Fulfil, decide
from db import opening, order_queries, orders
from db.engine import autocommit, transaction
from runtime.background import beside
from runtime.failpoints import Step, around
from worker.payments.port import PaymentProvider
from worker.policies import SESSION_AT_ONCE

PROCESSING_TIMEOUT = 14 * 86_400.0
# Stripe forgets idempotency keys after 24 hours ("Idempotent requests"): an older order is looked up first.
IDEMPOTENCY_KEY_LIFETIME = timedelta(hours=20)
# Under how many idempotency keys a session is asked for, each after the first because the one before is stuck.
SESSION_KEYS = 5


class CheckoutActivities:
    """Durations in seconds."""

    def __init__(
        self,
        engine: AsyncEngine,
        provider: PaymentProvider,
        *,
        dispatch_duration: float,
        processing_timeout: float = PROCESSING_TIMEOUT,
    ) -> None:
        self._engine, self._reads, self._provider = engine, autocommit(engine), provider
        self._dispatch_duration = timedelta(seconds=dispatch_duration)
        self._processing_timeout = timedelta(seconds=processing_timeout)

    @activity.defn
    async def open_checkout(self, request: OpenOrderInput) -> Opened:
        """Open the order, and its session. If the session is not there in time, the order comes back pending and the
        next step opens it; if it was refused, `refusal` says why."""
        order = await self.open_order(request)
        is_new = order.created_at == request.opened_at
        if order.status is OrderStatus.PENDING and order.fingerprint == request.fingerprint:
            try:
                async with asyncio.timeout(SESSION_AT_ONCE.total_seconds()):
                    order = await self.create_payment_session(order)
            except (PaymentRefused, PaymentStuck) as error:
                return Opened(order, is_new, refusal=f"{type(error).__name__}: {error}")
            except Exception as error:
                _left("open its session", order, error)
        return Opened(order, is_new)

    @activity.defn
    async def ask_provider(self, ask: AskInput) -> Answer:
        """The provider's word on a live order's session, which is closed first if the order is to end; and, if it is
        paid as agreed, the order fulfilled.

        Raises `PaymentRefused` or `PaymentUnknown`, both final, when the provider refuses to speak of it.
        """
        order = ask.order
        assert order.session is not None, "only an order with a session is asked about"
        look = self.expire_session if ask.closing else self.retrieve_session
        session = await look(order.session.session_id)
        match decide(order, session, ask.closing):
            case Fulfil(payment):
                try:
                    order = await self.fulfil_order(PaidInput(order.order_id, payment))
                except Exception as error:
                    _left("fulfil it", order, error)
        return Answer(session, order)

    async def open_order(self, request: OpenOrderInput) -> Order:
        """Insert the order and reserve its lines, or reject it; or find what the key has already led to."""
        async with transaction(self._engine, Step.OPEN_ORDER) as connection:
            return await opening.open_order(connection, request)

    @activity.defn
    @around(Step.FIND_ORDER)
    async def find_order(self, request: FindOrderInput) -> Order | None:
        async with self._reads.connect() as connection:
            return await order_queries.find_by_id(connection, request.order_id)

    @activity.defn
    async def process_order(self, request: PaidInput) -> Order:
        """Awaiting payment → payment processing: the customer has ordered a payment that takes days."""
        async with transaction(self._engine, Step.PROCESS_ORDER) as connection:
            return await orders.process_order(
                connection, request.order_id, request.payment_intent_id, self._processing_timeout
            )

    @activity.defn
    async def fulfil_order(self, request: PaidInput) -> Order:
        """Held → consumed and awaiting → fulfilled. Raises `CannotFulfil`, final, when a reservation is missing."""
        async with transaction(self._engine, Step.FULFIL_ORDER) as connection:
            return await orders.fulfil_order(
                connection, request.order_id, request.payment_intent_id, self._dispatch_duration
            )

    @activity.defn
    async def release_order(self, request: ReleaseInput) -> Order:
        """End a live order without fulfilment; what it held can be sold again.

        Rejected is an order only while it has no session: with one that an earlier attempt recorded it goes on.
        """
        leaving = [OrderStatus.PENDING] if request.status is OrderStatus.REJECTED else LIVE
        async with transaction(self._engine, Step.RELEASE_ORDER) as connection:
            return await orders.close_order(
                connection, request.order_id, request.status, request.reason, leaving=leaving
            )

    @activity.defn
    async def create_payment_session(self, order: Order) -> Order:
        """Get the order's one session from the provider, and record it: pending → awaiting payment.

        Raises `PaymentRefused` or `PaymentStuck`, both final, only once a look-up has shown that the provider has no
        session for this order, or was refused as well (a wrong key). In either case nobody has been told of a session
        that could be paid, so the stock may go back.
        """
        async with self._reads.connect() as connection:
            request = await order_queries.session_request(connection, order)
        # None of a local activity: of that, Temporal waits for no beats.
        limit = activity.info().heartbeat_timeout if activity.in_activity() else None
        async with beside(_beat(limit / 5)) if limit else nullcontext():
            session = await self._obtain_session(request)
        async with transaction(self._engine, Step.RECORD_SESSION) as connection:
            return await orders.record_session(connection, order.order_id, session)

    @activity.defn
    async def retrieve_session(self, session_id: str) -> ProviderSession:
        return _told(await self._provider.retrieve_session(session_id))

    @activity.defn
    async def expire_session(self, session_id: str) -> ProviderSession:
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


async def _beat(pause: timedelta) -> None:
    """Tell Temporal now and then that this goes on. A look-up reads as many pages as the shop had sessions meanwhile,
    and each call has its own limit: what must be bounded is only how long a dead worker is waited for."""
    while True:
        await asyncio.sleep(pause.total_seconds())
        activity.heartbeat()


def _told(session: ProviderSession) -> ProviderSession:
    """Log an error for money that cannot be refunded through us: the provider does not name its payment."""
    if session.paid and session.payment_intent_id is None:
        told = "Session %s of order %s is paid and names no payment: look at the provider"
        activity.logger.error(told, session.session_id, session.order_id)
    return session


def _left(what: str, order: Order, error: Exception) -> None:
    """Log why the second half of a step is left to the next. Of errors that are not ours only the type: a driver's
    message may quote what was written."""
    activity.logger.warning(
        "Order %s: could not %s yet, the next step tries again: %s",
        order.order_id,
        what,
        f"{type(error).__name__}: {error}" if isinstance(error, CheckoutError) else type(error).__name__,
        extra={"order_id": order.order_id},
    )
