"""The safety net, run by a Temporal Schedule: no live order without a workflow that looks after it."""

from temporalio import workflow

from checkout.contracts import SweepResult
from checkout.ids import SWEEP_WORKFLOW
from worker import policies
from worker.activities.settlements import SettlementActivities


@workflow.defn(name=SWEEP_WORKFLOW)
class SweepWorkflow:
    @workflow.run
    async def run(self) -> SweepResult:
        return await workflow.execute_activity_method(
            SettlementActivities.sweep_orders,
            start_to_close_timeout=policies.SWEEP_ATTEMPT,
            retry_policy=policies.SWEEP_RETRY,
            summary="Find orders nobody looks after",
        )
