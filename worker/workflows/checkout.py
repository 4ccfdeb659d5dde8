"""The checkout, from Buy to fulfilled. Workflow id = idempotency key."""

from typing import assert_never

from temporalio import workflow

from checkout.contracts import CheckoutInput, CheckoutResult, PaymentSessionView
from checkout.ids import CHECKOUT_WORKFLOW
from checkout.orders import Order, OrderStatus, Reason
from checkout.settling import AwaitBank, Close, Fulfil, Nothing, Refund, Release, Wait, decide
from worker.workflows import actions
from worker.workflows.inbox import Inbox
from worker.workflows.shield import shielded


@workflow.defn(name=CHECKOUT_WORKFLOW)
class CheckoutWorkflow:
    @workflow.init
    def __init__(self, checkout: CheckoutInput) -> None:
        self._checkout = checkout
        self._order: Order | None = None
        self.inbox = Inbox(checkout, actions.hand_on)

    @workflow.run
    @shielded
    async def run(self, checkout: CheckoutInput) -> CheckoutResult:
        """Reserve the stock, open the payment session, wait for the money; then fulfil the order, or undo it."""
        opened = await actions.open_order(checkout)  # and its payment session, unless that takes a while
        order = self._order = opened.order
        if order.status is OrderStatus.PENDING:
            order = self._order = await actions.open_session(order)
        if not opened.is_new:
            self.inbox.ask_first()  # an earlier run opened it, or this one before it was reset: ask before waiting

        while not self.inbox.is_drained(order):
            await self.inbox.hand_on_others(order)  # sessions that carry its key and are not its own
            closing = await self.inbox.wait(order)  # for the provider's news, a wish to give up, or the deadline
            order, session = await actions.ask_provider(order, closing)  # paid as agreed, it is fulfilled in this step
            decision = decide(order, session, closing)
            match decision:
                case Fulfil(payment):  # it could not be at once
                    order = await actions.fulfil(order, payment, session)
                case AwaitBank(payment):  # it takes days: nobody can give up any more
                    order = await actions.await_bank(order, payment)
                    self.inbox.carry_on()
                case Release(reason):
                    order = await actions.release(order, reason)
                case Refund(payment, reason):
                    order = await actions.refund(order, payment, reason)
                case Close(session_id):
                    closed = await actions.close_session(session_id)
                    if closed.paid:  # after all: its order has ended, and nobody else may tell of the money
                        self.inbox.ask_first()
                case Wait() | Nothing():
                    pass
                case _:
                    assert_never(decision)
            await self.inbox.rest_if_refused(order, session, decision)
            self._order = order

        actions.hand_over(order)
        return CheckoutResult.of(order)

    @workflow.signal
    def payment_event(self, event_id: str = "", session_id: str = "", *_unexpected: object) -> None:
        """The provider has news of a session. What it is, the provider is asked."""
        self.inbox.hear(event_id, session_id)

    @workflow.signal
    def cancel(self, *_unexpected: object) -> None:
        """The customer gives up. Money that has already come wins."""
        self.inbox.give_up(Reason.CUSTOMER)

    @workflow.query
    def payment_session(self) -> PaymentSessionView:
        """The session to send the customer to, as soon as there is one; or why there will be none."""
        return PaymentSessionView.of(self._checkout, self._order)
