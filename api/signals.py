"""Signals to workflows, each of which counts once."""

from datetime import timedelta

from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

SIGNAL_TIMEOUT = timedelta(seconds=3)


async def tell(client: Client, workflow_id: str, signal: str, *arguments: str, once: str) -> bool:
    """Whether such a workflow runs, and has been told. Raises `RPCError` when Temporal is away.

    `once` names what is told: Temporal takes it once in a run and drops repeats, so that no webhook sent again and no
    page opened again makes the history longer. The SDK's own signals have a random name, hence the bare call.
    """
    request = SignalWorkflowExecutionRequest(
        namespace=client.namespace,
        identity=client.identity,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id),
        signal_name=signal,
        input=Payloads(payloads=await client.data_converter.encode(arguments)) if arguments else None,
        request_id=once,
    )
    try:
        await client.workflow_service.signal_workflow_execution(request, retry=True, timeout=SIGNAL_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True
