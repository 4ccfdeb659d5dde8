"""What a campaign does to orders and workflows past the shop: money forced, workflows ended or forgotten."""

import contextlib
from datetime import timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from runtime.settings import DEVELOPMENT_STRIPE_KEY
from tests.campaigns.chaos.customer import Customer
from tests.campaigns.chaos.verdicts import expect, in_time
from tests.campaigns.chaos.world import World


async def give_back(world: World, customer: Customer) -> None:
    """By Stripe's own API, past the shop: as its dashboard does."""
    key = {"Authorization": f"Bearer {DEVELOPMENT_STRIPE_KEY}"}
    session = await world.http.get(f"{world.payment}/v1/checkout/sessions/{customer.session_id}", headers=key)
    form = {"payment_intent": session.raise_for_status().json()["payment_intent"]}
    (await world.http.post(f"{world.payment}/v1/refunds", data=form, headers=key)).raise_for_status()


async def pay_again(world: World, customer: Customer) -> str:
    """Pay a second session that carries the order's key, which somebody opened past the shop; returns its id. It names
    no order: two charges of one order are what the audit must never find, whatever is given back."""
    key = {"Authorization": f"Bearer {DEVELOPMENT_STRIPE_KEY}"}
    form = {
        "mode": "payment",
        "client_reference_id": customer.key,
        "success_url": world.gateway,
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": "700",
        "line_items[0][price_data][product_data][name]": "Something else",
    }
    answer = await world.http.post(f"{world.payment}/v1/checkout/sessions", data=form, headers=key)
    session_id = str(answer.raise_for_status().json()["id"])
    body = {"session_id": session_id}
    (await world.http.post(f"{world.payment}/api/submit_payment", json=body)).raise_for_status()
    return session_id


async def force_payment(world: World, customer: Customer) -> None:
    """Charge the session, whatever its state."""
    body = {"session_id": customer.session_id, "force": True}
    answer = await world.http.post(f"{world.payment}/_faults/pay", json=body)
    expect(answer.status_code == 200 and answer.json()["paid"], "the forced payment")
    customer.has_paid = True


async def terminate(world: World, workflow_id: str) -> bool:
    """End a workflow without a chance to clean up. False when none runs."""
    try:
        await world.temporal.get_workflow_handle(workflow_id).terminate("chaos", rpc_timeout=timedelta(seconds=5))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def ended(world: World, workflow_id: str) -> None:
    """Wait until the workflow runs no more."""
    handle = world.temporal.get_workflow_handle(workflow_id)

    async def has_ended() -> bool | None:
        with contextlib.suppress(RPCError):
            status = (await handle.describe(rpc_timeout=timedelta(seconds=5))).status
            return None if status is WorkflowExecutionStatus.RUNNING else True
        return None

    await in_time(has_ended, 60, f"{workflow_id} still runs")


async def forget(world: World, workflow_id: str) -> None:
    """Delete a workflow and its history, as Temporal itself does after its retention."""
    handle = world.temporal.get_workflow_handle(workflow_id)
    execution = WorkflowExecution(workflow_id=workflow_id)
    request = DeleteWorkflowExecutionRequest(namespace=world.temporal.namespace, workflow_execution=execution)
    await world.temporal.workflow_service.delete_workflow_execution(request)

    async def is_gone() -> bool | None:
        try:
            await handle.describe(rpc_timeout=timedelta(seconds=5))
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return True
            raise
        return None

    await in_time(is_gone, 60, f"{workflow_id} is not forgotten")
