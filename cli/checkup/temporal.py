"""Temporal: there, with our namespace, our search attributes, the sweep's schedule, and workers that ask for work."""

import time
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from checkout.ids import TASK_QUEUE
from cli.checkup import PATIENCE, Patient, Skipped, Wrong
from runtime.connection import BRIEF_RETRIES, connect
from runtime.search_attributes import SEARCH_ATTRIBUTES
from worker.schedule import has_sweep

_TIMEOUT = timedelta(seconds=PATIENCE)
_POLLED_WITHIN = 90.0  # seconds: a poll ends after a minute and is followed by the next
_KINDS = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
_NOT_CURRENT = (
    "Workers ask for work and are given none: of what runs, no version is current ({}). Make one current: "
    "temporal worker deployment set-current-version --build-id {} --deployment-name {}"
)
_CREATE = "temporal operator search-attribute create --name {} --type Keyword"


async def answers(patient: Patient) -> str:
    client = await _client(patient)
    request = DescribeNamespaceRequest(namespace=client.namespace)
    try:
        await client.workflow_service.describe_namespace(request, timeout=_TIMEOUT)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise Wrong(f"It refuses us: {error.message}. Look at TEMPORAL_API_KEY and TEMPORAL_TLS_*.") from None
        what = f"It has no namespace {client.namespace!r}"
        raise Wrong(f"{what}: correct TEMPORAL_NAMESPACE, or `temporal operator namespace create`.") from None
    return f"It answers, and has the namespace {client.namespace!r}."


async def search_attributes(patient: Patient) -> str:
    client = await _client(patient)
    request = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        answer = await client.operator_service.list_search_attributes(request, timeout=_TIMEOUT)
    except RPCError as error:
        raise Skipped(f"It does not tell us ({error.status.name}).") from None
    missing = [key.name for key in SEARCH_ATTRIBUTES if key.name not in answer.custom_attributes]
    if missing:
        commands = "; ".join(map(_CREATE.format, missing))
        raise Wrong(f"It lacks {' and '.join(missing)}, without which no checkout goes on: {commands}")
    return "It knows ours."


async def schedule(patient: Patient) -> str:
    if not await has_sweep(await _client(patient)):
        raise Wrong("The sweep's schedule is missing: a worker that runs makes it, within CHECKOUT_SWEEP_INTERVAL.")
    return "The sweep is scheduled."


async def workers(patient: Patient) -> str:
    client = await _client(patient)
    polling: list[set[str]] = []
    for kind in _KINDS:
        queue = TaskQueue(name=TASK_QUEUE)
        request = DescribeTaskQueueRequest(namespace=client.namespace, task_queue=queue, task_queue_type=kind)
        answer = await client.workflow_service.describe_task_queue(request, timeout=_TIMEOUT)
        since = time.time() - _POLLED_WITHIN
        recent = [one for one in answer.pollers if one.last_access_time.ToSeconds() > since]
        polling.append({one.identity for one in recent})
        # "" is both: a worker without a version, and no version that is current.
        versions = {one.deployment_options.build_id: one.deployment_options.deployment_name for one in recent}
        current = answer.versioning_info.current_deployment_version.build_id
        if versions and current not in versions:
            raise Wrong(_NOT_CURRENT.format(current or "none", *max(versions.items())))
    count = len(polling[0] & polling[1])
    if count == 0:
        raise Wrong(f"Nobody asks for work on its queue {TASK_QUEUE!r}: start a worker, with this TEMPORAL_NAMESPACE.")
    return f"{count} {'asks' if count == 1 else 'ask'} for work."


async def _client(patient: Patient) -> Client:
    try:
        return await connect(patient.settings, retries=BRIEF_RETRIES)
    except RuntimeError as error:
        raise Wrong(f"It cannot be reached: is TEMPORAL_ADDRESS (host:port) right, and does it run? {error}") from None
