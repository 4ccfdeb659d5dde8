"""The checkout, from Buy to fulfilled. Workflow id = idempotency key."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from checkout.contracts import (
        CheckoutInput,
        CheckoutResult,
        OpenOrderInput,
        OrderStatus,
        PaymentSessionView,
        SessionProgress,
    )
    from worker import policies
    from worker.activities.orders import OrderActivities
    from worker.shield import shielded
    from worker.steps import StepFailed, run_step
    from worker.workflows.journey import OrderJourney


@workflow.defn
class CheckoutWorkflow(OrderJourney):
    @workflow.init
    def __init__(self, checkout: CheckoutInput) -> None:
        super().__init__()
        self._checkout = checkout

    @workflow.run
    @shielded
    async def run(self, checkout: CheckoutInput) -> CheckoutResult:
        """Reserve the stock, open the payment session, wait for the money, fulfil; or undo."""
        await self._open_order()
        if self.order.status is OrderStatus.PENDING:
            await self.open_payment_session()
        else:
            self.look_first()
        await self.await_payment()
        self.tell_outcome()
        await self.hear_out()
        return CheckoutResult(self.order.order_id, self.order.status, self.order.reason)

    @workflow.query
    def payment_session(self) -> PaymentSessionView:
        """The session to send the customer to, as soon as there is one; or why there will be none."""
        if self._order is None or self._order.status is OrderStatus.PENDING:
            progress = SessionProgress.OPENING
        else:
            progress = SessionProgress.READY if self._order.session else SessionProgress.CLOSED
        return PaymentSessionView(progress, self._checkout.fingerprint, self._checkout.request_id, self._order)

    async def _open_order(self) -> None:
        """Insert the order and reserve its stock; or find the order that an earlier run of this key opened."""
        now = workflow.now()
        request = OpenOrderInput(
            checkout_key=self._checkout.checkout_key,
            lines=self._checkout.lines,
            fingerprint=self._checkout.fingerprint,
            opened_at=now,
            expires_at=now + timedelta(seconds=self._checkout.payment_timeout),
            email=self._checkout.email,
            client=self._checkout.client,
        )
        try:
            order = await run_step(OrderActivities.open_order, request, policies.DATABASE, "Reserve the stock")
        except StepFailed as error:
            raise ApplicationError(str(error), type=error.kind, non_retryable=True) from error
        if order.fingerprint != self._checkout.fingerprint:
            raise ApplicationError("This key belongs to another cart", type="KeyReused", non_retryable=True)
        self._see(order)

    def start_over(self) -> None:
        workflow.continue_as_new(self._checkout)
