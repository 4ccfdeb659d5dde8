"""The safety net, run by a Temporal Schedule: no live order without a workflow that looks after it."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from checkout.contracts import SweepResult
    from worker import policies
    from worker.activities.sweep import SweepActivities


# It begins anew every interval, with whatever version is current by then; a run that is under way may go on there, too.
@workflow.defn(versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class SweepWorkflow:
    @workflow.run
    async def run(self) -> SweepResult:
        return await workflow.execute_activity_method(
            SweepActivities.sweep_orders,
            start_to_close_timeout=policies.SWEEP_ATTEMPT,
            retry_policy=policies.SWEEP_RETRY,
            summary="Find orders nobody looks after",
        )
