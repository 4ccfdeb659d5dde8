"""The steps that ask the payment service, and write down what it said: of sessions, and of the money after the sale.

Whatever is to be given back is a row of ours before the provider is asked for it, under a key derived from that row;
its answer is written down in a transaction of its own. What is lost in between, the next look finds at the provider.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from checkout.contracts import Followed, GiveUpInput, RefundInput, RefundOrderInput
from checkout.errors import PaymentRefused, PaymentStuck, PaymentUnknown, PaymentUnreachable
from checkout.money import Refund
from checkout.orders import Order
from checkout.payments import PaymentSession, SessionRequest, SessionState
from db import ledger, order_queries, orders, refunds
from db.book import find_refund
from db.engine import autocommit, transaction
from runtime.failpoints import Step
from worker.payments.port import PaymentProvider

# Stripe forgets idempotency keys after 24 hours ("Idempotent requests"): an older order is looked up first.
IDEMPOTENCY_KEY_LIFETIME = timedelta(hours=20)
# Under how many idempotency keys a session is asked for, each after the first because the one before is stuck.
SESSION_KEYS = 5
_TRIES = 5  # to read all of a payment without anybody writing meanwhile


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

    @activity.defn
    async def refund_payment(self, request: RefundInput) -> Order | None:
        """Give a payment back that is none of ours to keep, and end its order, if it has one. Repeated, it finds all of
        that done."""
        payment = await self._provider.payment(request.payment_intent_id)
        async with transaction(self._engine, Step.RECORD_DEBT) as connection:
            outcome = await ledger.owe(connection, payment, request.order_id, request.reason)
        order = outcome.order
        for refund in outcome.to_make:
            _, order = await self._make(refund)
        return order

    @activity.defn
    async def request_refund(self, wanted: RefundOrderInput) -> Refund:
        """Enter what an operator wants given back. Raises `NotRefundable` and its kinds, `KeyReused`, all final."""
        async with transaction(self._engine, Step.REQUEST_REFUND) as connection:
            return await refunds.request_refund(connection, wanted)

    @activity.defn
    async def make_refund(self, refund: Refund) -> Refund:
        """Have the provider give it back; answers it as the provider then has it. Not one that has come to nothing, or
        was made, since somebody saw that it was to be made: that may be a while ago."""
        async with self._reads.connect() as connection:
            now = await find_refund(connection, refund)
        return (await self._make(now))[0] if now.is_to_be_made else now

    @activity.defn
    async def give_up_refund(self, request: GiveUpInput) -> None:
        """End a refund that the provider refuses and has none of."""
        async with transaction(self._engine, Step.GIVE_UP_REFUND) as connection:
            await ledger.give_up(connection, request.refund, request.why)

    @activity.defn
    async def follow_money(self, payment_intent_id: str) -> Followed:
        """Ask the provider for all that became of a payment, and enter it. Raises `PaymentUnknown`, final."""
        for _ in range(_TRIES):
            async with self._reads.connect() as connection:
                version = await ledger.version_of(connection, payment_intent_id)
            if version is None:
                order_id = (await self._provider.payment(payment_intent_id)).order_id
                async with self._reads.connect() as connection:
                    order = await order_queries.find_by_id(connection, order_id) if order_id else None
                    is_here_now = await ledger.version_of(connection, payment_intent_id) is not None
                is_early = order is not None and order.status.is_live
                if is_here_now and not is_early:
                    continue  # its order was fulfilled while the provider was asked
                return Followed(order, is_early=is_early)
            try:
                word = ledger.Word(
                    await self._provider.payment(payment_intent_id),
                    await self._provider.refunds_of(payment_intent_id),
                    await self._provider.disputes_of(payment_intent_id),
                )
            except PaymentUnknown:
                async with transaction(self._engine, Step.RECORD_MONEY) as connection:
                    await ledger.put_off(connection, payment_intent_id)
                raise
            async with transaction(self._engine, Step.RECORD_MONEY) as connection:
                outcome = await ledger.record(connection, version, word)
            if outcome is not None:
                for alarm in outcome.alarms:
                    order_id = outcome.order.order_id if outcome.order else None
                    activity.logger.error("Order %s needs attention: %s", order_id, alarm)
                    if activity.in_activity():
                        disputes = activity.metric_meter().create_counter(
                            "checkout_disputes", "Opened, changed, closed"
                        )
                        disputes.add(1)
                return Followed(outcome.order, outcome.to_make)
        raise PaymentUnreachable("The ledger changes faster than the payment service answers")

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

    async def _make(self, refund: Refund) -> tuple[Refund, Order | None]:
        made = await self._provider.refund(refund)
        async with transaction(self._engine, Step.RECORD_REFUND) as connection:
            return await ledger.record_made(connection, refund.payment_intent_id, made)
