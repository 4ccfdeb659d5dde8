"""Two steps in one, for a checkout that meets no trouble: order and session; the provider's word and the goods.

Every step costs Temporal a record and the worker a round through the SDK, so two that follow each other anyway go
together (docs/performance.md). Whatever does not end well at once is left as it is: the next step of the story
(`worker.workflows.checkout`) is the same work with all its patience.
"""

import asyncio
import contextlib

from temporalio import activity

from checkout.contracts import Answer, AskInput, FulfilInput, OpenOrderInput
from checkout.errors import CannotFulfil, OrderNotFound, PaymentError
from checkout.orders import Order, OrderStatus
from checkout.settling import Fulfil, decide
from worker.activities.orders import OrderActivities
from worker.activities.payments import PaymentActivities
from worker.policies import SESSION_AT_ONCE


class CheckoutActivities:
    def __init__(self, orders: OrderActivities, payments: PaymentActivities) -> None:
        self._orders, self._payments = orders, payments

    @activity.defn
    async def open_checkout(self, request: OpenOrderInput) -> Order:
        """Open the order, and its session if the provider gives it at once; else the order is pending."""
        order = await self._orders.open_order(request)
        if order.status is OrderStatus.PENDING and order.fingerprint == request.fingerprint:
            with contextlib.suppress(PaymentError, TimeoutError):
                async with asyncio.timeout(SESSION_AT_ONCE.total_seconds()):
                    return await self._payments.create_payment_session(order)
        return order

    @activity.defn
    async def ask_provider(self, ask: AskInput) -> Answer:
        """The provider's word on a live order's session, which is closed first if the order is to end. Is it paid as
        agreed, the order is fulfilled; it stays as it was if it cannot be.

        Raises `PaymentRefused` or `PaymentUnknown`, both final, when the provider refuses to speak of it.
        """
        order = ask.order
        assert order.session is not None, "only an order with a session is asked about"
        look = self._payments.expire_session if ask.closing else self._payments.retrieve_session
        session = await look(order.session.session_id)
        match decide(order, session, ask.closing):
            case Fulfil(payment):
                with contextlib.suppress(CannotFulfil, OrderNotFound):
                    order = await self._orders.fulfil_order(FulfilInput(order.order_id, payment))
        return Answer(session, order)
