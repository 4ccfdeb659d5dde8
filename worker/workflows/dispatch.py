"""From fulfilled to dispatched. Whoever looks derives the progress from time; there is nothing to write on the way."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from checkout.contracts import DispatchInput, OrderStatus
    from worker import policies
    from worker.activities.orders import OrderActivities
    from worker.steps import run_step


@workflow.defn
class DispatchWorkflow:
    @workflow.run
    async def run(self, dispatch: DispatchInput) -> OrderStatus:
        remaining = dispatch.due_at - workflow.now()
        if remaining > timedelta(0):
            await workflow.sleep(remaining, summary="Parcel on its way")
        order = await run_step(OrderActivities.dispatch_order, dispatch, policies.DATABASE, "Mark the order dispatched")
        return order.status
