"""Workflows that an order's journey starts and does not wait for: they outlive it."""

import contextlib

from temporalio import workflow
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from checkout.contracts import SettlementInput
    from checkout.ids import settlement_workflow_id
    from worker import policies
    from worker.workflows.news import EVERY_EVENT_COUNTS


async def have_settled(session_id: str, told_by: str) -> None:
    """Have a settlement look at a session: a new one, or the one that runs, which may have looked before."""
    settlement_id = settlement_workflow_id(session_id)
    while True:
        try:
            await workflow.start_child_workflow(
                "SettlementWorkflow",  # by name: it is a journey itself, and journeys import this module
                SettlementInput(session_id=session_id),
                id=settlement_id,
                parent_close_policy=ParentClosePolicy.ABANDON,
                task_timeout=policies.WORKFLOW_TASK_TIMEOUT,
                static_summary="A payment under this key that is not the order's own",
            )
            return
        except WorkflowAlreadyStartedError:
            if not workflow.patched(EVERY_EVENT_COUNTS):
                return
        with contextlib.suppress(FailureError):  # it has ended meanwhile
            running = workflow.get_external_workflow_handle(settlement_id)
            await running.signal("payment_event", f"{told_by}/{workflow.uuid4()}")
            return
