"""An operator gives the money of a fulfilled order back, once, and takes its stock back."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from worker.steps import StepFailed, run_step
from worker.workflows.actions import find_order

with workflow.unsafe.imports_passed_through():
    from checkout.contracts import CheckoutResult, RefundInput, RefundOrderInput
    from checkout.errors import NotRefundable
    from checkout.orders import OrderStatus
    from worker import policies
    from worker.activities.payments import PaymentActivities


@workflow.defn
class RefundWorkflow:
    @workflow.run
    async def run(self, refund: RefundOrderInput) -> CheckoutResult:
        order = await find_order(refund.order_id)
        if order is not None and order.status is OrderStatus.REFUNDED:
            return CheckoutResult.of(order)
        if order is None or not order.status.is_kept or order.payment_intent_id is None:
            raise ApplicationError("There is no payment to give back", type=NotRefundable.__name__, non_retryable=True)
        try:
            refunded = await run_step(
                PaymentActivities.refund_payment,
                RefundInput(order.payment_intent_id, refund.reason, order.order_id),
                policies.PROVIDER,
                "Give the money back",
            )
        except StepFailed as error:
            raise ApplicationError(str(error), type=error.kind, non_retryable=True) from error
        assert refunded is not None, "a refund with an order answers the order"
        return CheckoutResult.of(refunded)
