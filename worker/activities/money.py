"""The steps of the money after the sale: what is given back, and what became of a payment.

Whatever is to be given back is a row of ours before the provider is asked for it, under a key derived from that row;
its answer is written down in a transaction of its own. What is lost in between, the next look finds at the provider.
"""

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from checkout.contracts import Followed, GiveUpInput, RefundInput, RefundOrderInput
from checkout.errors import PaymentUnknown, PaymentUnreachable
from checkout.orders import Order
from checkout.payments import Refund
from db import ledger, order_queries, refunds
from db.book import Book, find_refund
from db.engine import autocommit, transaction
from runtime.failpoints import Step
from worker.payments.port import PaymentProvider

_TRIES = 5  # to read all of a payment without anybody writing meanwhile


class MoneyActivities:
    def __init__(self, engine: AsyncEngine, provider: PaymentProvider) -> None:
        self._engine, self._reads, self._provider = engine, autocommit(engine), provider

    @activity.defn
    async def refund_payment(self, request: RefundInput) -> Order | None:
        """Refund a payment that is not ours to keep, and end its order, if it has one. Safe to repeat."""
        payment = await self._provider.payment(request.payment_intent_id)
        async with transaction(self._engine, Step.RECORD_DEBT) as connection:
            book = await ledger.owe(connection, payment, request.order_id, request.reason)
        order = book.order
        for refund in book.to_make:
            _, order = await self._make(refund)
        return order

    @activity.defn
    async def request_refund(self, wanted: RefundOrderInput) -> Refund:
        """Enter what an operator wants given back. Raises `NotRefundable` and its kinds, `KeyReused`, all final."""
        async with transaction(self._engine, Step.REQUEST_REFUND) as connection:
            return await refunds.request_refund(connection, wanted)

    @activity.defn
    async def make_refund(self, refund: Refund) -> Refund:
        """Have the provider make it. Reads the refund again first, and asks only if it is still pending and unsent.
        Returns it as it then is."""
        async with self._reads.connect() as connection:
            now = await find_refund(connection, refund)
        return (await self._make(now))[0] if now.is_to_be_made else now

    @activity.defn
    async def give_up_refund(self, request: GiveUpInput) -> None:
        """Mark as failed a refund that the provider refused and does not have."""
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
                payment = await self._provider.payment(payment_intent_id)
                made = await self._provider.refunds_of(payment_intent_id)
                disputes = await self._provider.disputes_of(payment_intent_id)
            except PaymentUnknown:
                async with transaction(self._engine, Step.RECORD_MONEY) as connection:
                    await ledger.put_off(connection, payment_intent_id)
                raise
            async with transaction(self._engine, Step.RECORD_MONEY) as connection:
                book = await ledger.record(connection, version, payment, made, disputes)
            if book is not None:
                _tell_of_disputes(book)
                return Followed(book.order, book.to_make)
        raise PaymentUnreachable("The ledger changes faster than the payment service answers")

    async def _make(self, refund: Refund) -> tuple[Refund, Order | None]:
        made = await self._provider.refund(refund)
        async with transaction(self._engine, Step.RECORD_REFUND) as connection:
            return await ledger.record_made(connection, refund.payment_intent_id, made)


def _tell_of_disputes(book: Book) -> None:
    for alarm in book.alarms:
        told = "Order %s needs attention: payment %s: %s"
        activity.logger.error(told, book.order_id, book.payment_intent_id, alarm)
    if book.alarms and activity.in_activity():
        counter = activity.metric_meter().create_counter("checkout_disputes", "Opened, changed, closed")
        counter.add(len(book.alarms))
