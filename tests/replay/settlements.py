"""Settlements to record: of late money, of orphans, of what was given back elsewhere."""

from temporalio.common import WorkflowIDReusePolicy

from checkout.contracts import SettlementInput
from checkout.errors import PaymentUnknown
from checkout.ids import settlement_workflow_id
from tests.support.lab import Lab
from tests.support.provider import times
from worker.workflows.checkout import CheckoutWorkflow
from worker.workflows.settlement import SettlementWorkflow


async def _settlement(lab: Lab, session_id: str, order_id: str | None = None) -> str:
    workflow_id = settlement_workflow_id(session_id)
    await lab.client.execute_workflow(
        SettlementWorkflow.run,
        SettlementInput(session_id, order_id),
        id=workflow_id,
        task_queue=lab.task_queue,
        start_signal="payment_event",
        start_signal_args=["evt_late"],
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    )
    return workflow_id


async def settlement_of_late_money(lab: Lab) -> str:
    handle, _, session_id = await lab.opened()
    await handle.signal(CheckoutWorkflow.cancel)
    await handle.result()
    lab.provider.force_pay(session_id)
    return await _settlement(lab, session_id)


async def own_session_unknown_at_first(lab: Lab) -> str:
    """With the key of another account, for a moment."""
    handle, order, session_id = await lab.opened()
    await handle.signal(CheckoutWorkflow.cancel)
    await handle.result()
    lab.provider.force_pay(session_id)
    lab.provider.fail["retrieve"] = times(1, PaymentUnknown("no such session"))
    return await _settlement(lab, session_id, order.order_id)


async def settlement_of_a_fulfilled_order(lab: Lab) -> str:
    """A redelivery. Recorded before settlements looked for refunds made at the provider: shows that such still end."""
    _, _, session_id = await lab.paid()
    return await _settlement(lab, session_id)


async def refunded_at_the_provider(lab: Lab) -> str:
    _, _, session_id = await lab.paid()
    lab.provider.refund_elsewhere(f"pi_{session_id}")
    return await _settlement(lab, session_id)


async def settlement_of_an_early_payment(lab: Lab) -> tuple[str, str]:
    """The first run: its order does not take note of the payment for so long that the history becomes long."""
    _, _, session_id = await lab.opened()
    lab.provider.pay(session_id)
    intent = f"pi_{session_id}"
    settlement = SettlementInput(payment_intent_id=intent)
    handle = await lab.client.start_workflow(
        SettlementWorkflow.run, settlement, id=settlement_workflow_id(intent), task_queue=lab.task_queue
    )
    await lab.continued_as_new(handle, within=300)
    assert handle.first_execution_run_id is not None
    return handle.id, handle.first_execution_run_id


async def settlement_of_an_orphan(lab: Lab) -> str:
    handle, _, session_id = await lab.opened()
    await handle.terminate()
    lab.provider.pay(session_id)
    return await _settlement(lab, session_id)
