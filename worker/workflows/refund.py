"""An operator gives the money of a fulfilled order back, once, and takes its stock back."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from checkout.contracts import (
        CheckoutResult,
        FindOrderInput,
        OrderStatus,
        RefundInput,
        RefundOrderInput,
    )
    from worker import policies
    from worker.activities.orders import OrderActivities
    from worker.activities.payments import PaymentActivities
    from worker.steps import StepFailed, run_step


@workflow.defn
class RefundWorkflow:
    @workflow.run
    async def run(self, refund: RefundOrderInput) -> CheckoutResult:
        order = await run_step(
            OrderActivities.find_order, FindOrderInput(refund.order_id), policies.DATABASE, "Find the order"
        )
        if order is None or order.session is None or order.status.is_live:
            raise ApplicationError("There is no payment to give back", type="NotRefundable", non_retryable=True)
        if order.status is OrderStatus.REFUNDED:
            return CheckoutResult(order.order_id, order.status, order.reason)
        try:
            session = await run_step(
                PaymentActivities.retrieve_session,
                order.session.session_id,
                policies.PROVIDER,
                "Look at the payment session",
            )
            if not session.paid or session.payment_intent_id is None:
                raise ApplicationError("The order was not paid", type="NotRefundable", non_retryable=True)
            refunded = await run_step(
                PaymentActivities.refund_payment,
                RefundInput(session.payment_intent_id, refund.reason, order.order_id),
                policies.PROVIDER,
                "Give the money back",
            )
        except StepFailed as error:
            raise ApplicationError(str(error), type=error.kind, non_retryable=True) from error
        assert refunded is not None, "a refund with an order answers the order"
        return CheckoutResult(refunded.order_id, refunded.status, refunded.reason)
