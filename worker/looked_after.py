"""Does anything look after this order? The sweep acts on the answer, the audit tells it.

The SDK's own calls raise `ValueError` for a status they do not know, and a newer server may have one (paused). So its
numbers are read, and what is not known to have ended runs: else it would get a second workflow beside it.
"""

from collections.abc import Iterable, Set
from datetime import timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus as Status
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, ListWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from checkout.ids import CHECKOUT_WORKFLOW, SETTLEMENT_WORKFLOW, TASK_QUEUE, is_settlement, workflow_ids_of_order
from db.order_queries import UnsettledOrder

_RUNNING = (
    f"ExecutionStatus = 'Running' AND WorkflowType IN ('{CHECKOUT_WORKFLOW}', '{SETTLEMENT_WORKFLOW}')"
    f" AND TaskQueue = '{TASK_QUEUE}'"
)
_PAGE = 1000
_ENDED = {
    Status.WORKFLOW_EXECUTION_STATUS_COMPLETED,
    Status.WORKFLOW_EXECUTION_STATUS_FAILED,
    Status.WORKFLOW_EXECUTION_STATUS_CANCELED,
    Status.WORKFLOW_EXECUTION_STATUS_TERMINATED,
    Status.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW,
    Status.WORKFLOW_EXECUTION_STATUS_TIMED_OUT,
}
# One question is not repeated: a workflow whose part of Temporal is away shall not hold up the look at all others.
_PATIENCE = timedelta(seconds=2)


async def running_workflows(client: Client) -> set[str]:
    """Ids of the running checkouts and settlements, in one listing. It may lag: what it lacks is asked for by id."""
    found: set[str] = set()
    token = b""
    while True:
        request = ListWorkflowExecutionsRequest(
            namespace=client.namespace, query=_RUNNING, page_size=_PAGE, next_page_token=token
        )
        page = await client.workflow_service.list_workflow_executions(request, retry=True)
        found |= {info.execution.workflow_id for info in page.executions}
        token = page.next_page_token
        if not token:
            return found


async def describe(client: Client, workflow_id: str, patience: timedelta = _PATIENCE) -> WorkflowExecutionInfo | None:
    """The workflow as the server tells of it, whatever its status; None if the server does not know it."""
    request = DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
    )
    try:
        answer = await client.workflow_service.describe_workflow_execution(request, timeout=patience)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return answer.workflow_execution_info


def status_name(info: WorkflowExecutionInfo) -> str:
    """For people: `running`, `timed out`, or the number of a status that only the server knows."""
    if info.status not in Status.values():
        return f"status {info.status}"
    return Status.Name(info.status).removeprefix("WORKFLOW_EXECUTION_STATUS_").lower().replace("_", " ")


async def is_running(client: Client, workflow_id: str) -> bool:
    info = await describe(client, workflow_id)
    return info is not None and info.status not in _ENDED


def without_live_order(running: Set[str], live: Iterable[UnsettledOrder]) -> set[str]:
    """The running checkouts that no live order accounts for: one has only just begun, or runs on though its order has
    ended (`db.order_queries.ended_keys`)."""
    return {one for one in running if not is_settlement(one)} - {order.checkout_key for order in live}


async def is_looked_after(client: Client, order: UnsettledOrder, running: Set[str]) -> bool:
    """Whether a workflow looks after the order: one of `running`, else asked for by id. Raises `RPCError`."""
    workflow_ids = workflow_ids_of_order(order.checkout_key, order.order_id, order.session_id)
    if not running.isdisjoint(workflow_ids):
        return True
    for workflow_id in workflow_ids:
        if await is_running(client, workflow_id):
            return True
    return False
