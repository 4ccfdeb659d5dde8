"""An operator gives money of a fulfilled order back: all that is left, an amount, or what lines cost; once a key."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from checkout.contracts import GiveUpInput, RefundOrderInput
from checkout.ids import REFUND_WORKFLOW
from checkout.payments import Refund
from worker import policies
from worker.activities.money import MoneyActivities
from worker.steps import StepFailed, run_step


@workflow.defn(name=REFUND_WORKFLOW)
class RefundWorkflow:
    @workflow.run
    async def run(self, wanted: RefundOrderInput) -> Refund:
        """Until the provider has taken it, or refused. What becomes of it then, its events and the sweep follow."""
        try:
            refund = await run_step(MoneyActivities.request_refund, wanted, policies.DATABASE, "Enter the refund")
        except StepFailed as error:
            raise ApplicationError(str(error), type=error.kind, non_retryable=True) from error
        if not refund.is_to_be_made:
            return refund
        try:
            return await run_step(MoneyActivities.make_refund, refund, policies.PROVIDER, "Give the money back")
        except StepFailed as error:
            given_up = GiveUpInput(refund, str(error))
            await run_step(MoneyActivities.give_up_refund, given_up, policies.DATABASE, "It is refused: nothing moved")
            raise ApplicationError(str(error), type=error.kind, non_retryable=True) from error
