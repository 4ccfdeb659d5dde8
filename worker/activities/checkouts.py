"""Two steps in one, for a checkout that meets no trouble: order and session; the provider's word and the goods.

Every step costs Temporal a record and the worker a round through the SDK, so two that follow each other anyway go
together (docs/performance.md). If the second one does not end well at once, for whatever reason, the first is answered
alone: the next step of the story (`worker.workflows.checkout`) is the same work with all its patience.
"""

import asyncio

from temporalio import activity

from checkout.contracts import Answer, AskInput, Opened, OpenOrderInput, PaidInput
from checkout.errors import CheckoutError, PaymentRefused, PaymentStuck
from checkout.orders import Order, OrderStatus
from checkout.settling import Fulfil, decide
from worker.activities.orders import OrderActivities
from worker.activities.payments import PaymentActivities
from worker.policies import SESSION_AT_ONCE


class CheckoutActivities:
    def __init__(self, orders: OrderActivities, payments: PaymentActivities) -> None:
        self._orders, self._payments = orders, payments

    @activity.defn
    async def open_checkout(self, request: OpenOrderInput) -> Opened:
        """Open the order, and its session if the provider gives it at once; else the order is pending, until
        the next step has it or until the refusal is acted upon."""
        order = await self._orders.open_order(request)
        is_new = order.created_at == request.opened_at
        if order.status is OrderStatus.PENDING and order.fingerprint == request.fingerprint:
            try:
                async with asyncio.timeout(SESSION_AT_ONCE.total_seconds()):
                    order = await self._payments.create_payment_session(order)
            except (PaymentRefused, PaymentStuck) as error:
                return Opened(order, is_new, refusal=f"{type(error).__name__}: {error}")
            except Exception as error:
                _left("opened its session", order, error)
        return Opened(order, is_new)

    @activity.defn
    async def ask_provider(self, ask: AskInput) -> Answer:
        """The provider's word on a live order's session, which is closed first if the order is to end; and, if it is
        paid as agreed, the order fulfilled.

        Raises `PaymentRefused` or `PaymentUnknown`, both final, when the provider refuses to speak of it.
        """
        order = ask.order
        assert order.session is not None, "only an order with a session is asked about"
        look = self._payments.expire_session if ask.closing else self._payments.retrieve_session
        session = await look(order.session.session_id)
        match decide(order, session, ask.closing):
            case Fulfil(payment):
                try:
                    order = await self._orders.fulfil_order(PaidInput(order.order_id, payment))
                except Exception as error:
                    _left("fulfilled it", order, error)
        return Answer(session, order)


def _left(done: str, order: Order, error: Exception) -> None:
    """What is not ours by its kind only: a driver's message may quote what was written."""
    activity.logger.warning(
        "Not yet %s, it is tried again: order %s: %s",
        done,
        order.order_id,
        f"{type(error).__name__}: {error}" if isinstance(error, CheckoutError) else type(error).__name__,
        extra={"order_id": order.order_id},
    )
