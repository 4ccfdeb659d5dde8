"""The stories whose histories are kept. Each drives a real checkout on a real server to its end."""

import contextlib
from collections.abc import Awaitable, Callable

from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError

from checkout.contracts import RefundOrderInput
from checkout.errors import PaymentRefused
from checkout.ids import SWEEP_WORKFLOW_ID, refund_workflow_id, settlement_workflow_id
from checkout.orders import CartLine
from checkout.sessions import ProviderSession, SessionStatus
from tests.replay.settlements import (
    own_session_unknown_at_first,
    refunded_at_the_provider,
    settlement_of_a_fulfilled_order,
    settlement_of_an_early_payment,
    settlement_of_an_orphan,
    settlement_of_late_money,
)
from tests.support.eventually import eventually
from tests.support.lab import Lab
from tests.support.provider import always, times
from worker.workflows.checkout import CheckoutWorkflow
from worker.workflows.refund import RefundWorkflow
from worker.workflows.sweep import SweepWorkflow

Scenario = Callable[[Lab], Awaitable[str | tuple[str, str]]]
"""Answers the workflow's id; and the run's, if it is not the last one."""
LONG = 50
"""Events of a history: from then on the recording server suggests to continue as new. By itself it waits for 4,096."""


async def paid(lab: Lab) -> str:
    return (await lab.paid())[0].id


async def paid_with_two_lines(lab: Lab) -> str:
    return (await lab.paid(lines=[CartLine("pen", 2), CartLine("notebook", 1)]))[0].id


async def declined_then_paid(lab: Lab) -> str:
    handle, _, session_id = await lab.opened()
    await lab.tell(handle, "evt_declined")
    await eventually(lambda: "retrieve" in lab.provider.calls)
    lab.provider.pay(session_id)
    await lab.tell(handle, "evt_paid")
    await handle.result()
    return handle.id


async def cancelled_by_the_customer(lab: Lab) -> str:
    handle, _, _ = await lab.opened()
    await handle.signal(CheckoutWorkflow.cancel)
    await handle.result()
    return handle.id


async def timed_out(lab: Lab) -> str:
    handle, _, _ = await lab.opened(timeout=1)
    await handle.result()
    return handle.id


async def paid_in_the_race_with_the_timeout(lab: Lab) -> str:
    handle, _, session_id = await lab.opened(timeout=1)
    lab.provider.pay(session_id)
    await handle.result()
    return handle.id


async def out_of_stock(lab: Lab) -> str:
    handle = await lab.start(lines=[CartLine("limited-print", 99)])
    await handle.result()
    return handle.id


async def session_refused(lab: Lab) -> str:
    lab.provider.fail["create"] = always(PaymentRefused("400"))
    handle = await lab.start()
    await handle.result()
    return handle.id


async def provider_away_and_back(lab: Lab) -> str:
    lab.provider.fail |= {operation: times(3) for operation in ("create", "retrieve")}
    return (await lab.paid())[0].id


async def mismatch_refunded(lab: Lab) -> str:
    handle, _, session_id = await lab.opened()
    lab.provider.pay(session_id, amount_total=1)
    await lab.tell(handle)
    await handle.result()
    return handle.id


async def cancelled_in_the_ui(lab: Lab) -> str:
    handle, _, _ = await lab.opened()
    await handle.cancel()
    try:
        await handle.result()
    except WorkflowFailureError:
        return handle.id
    raise AssertionError("a cancellation that is granted shows as cancelled")


async def waiting_for_payment(lab: Lab) -> str:
    """Not ended: as a checkout looks that waits while new code is deployed."""
    handle, _, _ = await lab.opened()
    return handle.id


async def refund(lab: Lab) -> str:
    _, order, _ = await lab.paid()
    workflow_id = refund_workflow_id(order.order_id)
    await lab.client.execute_workflow(
        RefundWorkflow.run, RefundOrderInput(order.order_id), id=workflow_id, task_queue=lab.task_queue
    )
    return workflow_id


async def sweep(lab: Lab) -> str:
    await lab.client.execute_workflow(SweepWorkflow.run, id=SWEEP_WORKFLOW_ID, task_queue=lab.task_queue)
    return SWEEP_WORKFLOW_ID


async def other_session_told_twice(lab: Lab) -> str:
    """A session under the checkout's key that is not its own: first complete but unpaid, then paid."""
    handle, _, _ = await lab.opened()
    lab.provider.sessions["cs_other"] = ProviderSession("cs_other", SessionStatus.COMPLETE, False, 700, "usd", None)
    settlement = lab.client.get_workflow_handle(settlement_workflow_id("cs_other"))

    async def has_ended() -> bool:
        with contextlib.suppress(RPCError):  # it has not begun
            return (await settlement.describe()).status is WorkflowExecutionStatus.COMPLETED
        return False

    await handle.signal(CheckoutWorkflow.payment_event, args=["evt_completed", "cs_other"])
    await eventually(has_ended, what="the first settlement")
    lab.provider.force_pay("cs_other")
    await handle.signal(CheckoutWorkflow.payment_event, args=["evt_paid", "cs_other"])
    await eventually(lambda: lab.provider.calls.count("retrieve") >= 3, what="the look at the second event")
    await handle.signal(CheckoutWorkflow.cancel)
    await handle.result()
    return handle.id


async def odd_session_id(lab: Lab) -> str:
    handle, _, session_id = await lab.opened()
    await handle.signal(CheckoutWorkflow.payment_event, args=["evt_odd", "cs/../1"])
    lab.provider.pay(session_id)
    await lab.tell(handle, "evt_paid")
    await handle.result()
    return handle.id


async def a_long_history(lab: Lab) -> tuple[str, str]:
    """The first run, which continues as new because the server says that its history is long."""
    handle, _, _ = await lab.opened()
    await lab.flood(handle, (f"evt_{number}" for number in range(LONG)))
    await lab.continued_as_new(handle)
    assert handle.first_execution_run_id is not None
    return handle.id, handle.first_execution_run_id


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        paid,
        paid_with_two_lines,
        declined_then_paid,
        cancelled_by_the_customer,
        timed_out,
        paid_in_the_race_with_the_timeout,
        out_of_stock,
        session_refused,
        provider_away_and_back,
        mismatch_refunded,
        cancelled_in_the_ui,
        waiting_for_payment,
        other_session_told_twice,
        odd_session_id,
        a_long_history,
        own_session_unknown_at_first,
        settlement_of_late_money,
        settlement_of_an_early_payment,
        settlement_of_an_orphan,
        settlement_of_a_fulfilled_order,
        refunded_at_the_provider,
        refund,
        sweep,
    )
}
