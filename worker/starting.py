"""The one place that starts workflows: id, queue, policies, timeouts and summary of each kind.

| kind | id | a second start |
| --- | --- | --- |
| checkout | the idempotency key | joins the one that runs; refused after it has ended, unless asked for `again` |
| settlement | `settle:<session id>`, or the id of the order or of the payment | has the one that runs look again |
| refund | `refund/<order id>`, with the caller's key if there is one | joins the one that runs |
| sweep | `sweep/run`, by its schedule | is skipped while one runs |
"""

import asyncio
import logging
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    WorkflowHandle,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from checkout.contracts import CheckoutInput, CheckoutResult, RefundOrderInput, StartSettlementInput
from checkout.ids import SWEEP_SCHEDULE_ID, SWEEP_WORKFLOW_ID, TASK_QUEUE, refund_workflow_id, settlement_workflow_id
from checkout.orders import OrderStatus
from checkout.payments import Refund
from runtime.search_attributes import CHECKOUT_STATUS, ORDER_ID
from worker.policies import SWEEP_LIMIT, WORKFLOW_TASK_TIMEOUT
from worker.workflows.checkout import CheckoutWorkflow
from worker.workflows.refund import RefundWorkflow
from worker.workflows.settlement import SettlementWorkflow
from worker.workflows.sweep import SweepWorkflow

logger = logging.getLogger("worker")

START_TIMEOUT = timedelta(seconds=3)
_SCHEDULE_PAUSE = 2.0  # seconds between two tries to set it
FINGERPRINT = "fingerprint"  # of the cart, in a checkout's memo: it tells before any worker has looked

CheckoutHandle = WorkflowHandle[CheckoutWorkflow, CheckoutResult]
RefundHandle = WorkflowHandle[RefundWorkflow, Refund]


class Starter:
    """All raise `RPCError` when Temporal is away. Safe to repeat: ids make it idempotent."""

    def __init__(self, client: Client, task_queue: str = TASK_QUEUE) -> None:
        self._client, self._task_queue = client, task_queue

    async def checkout(self, checkout: CheckoutInput, *, again: bool = False) -> CheckoutHandle:
        """Raises `WorkflowAlreadyStartedError` when a checkout under this key has ended, unless `again`."""
        cart = ", ".join(f"{line.quantity} x {line.sku}" for line in checkout.lines[:5])
        return await self._client.start_workflow(
            CheckoutWorkflow.run,
            checkout,
            id=checkout.checkout_key,
            task_queue=self._task_queue,
            id_reuse_policy=(
                WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.REJECT_DUPLICATE
            ),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            search_attributes=_expected(checkout),
            memo={FINGERPRINT: checkout.fingerprint},
            static_summary=f"Checkout of {cart}"[:200],
            static_details=f"Customer's key `{checkout.checkout_key}`, {len(checkout.lines)} line(s), "
            f"to be paid within {checkout.payment_timeout:g} s.",
            rpc_timeout=START_TIMEOUT,
        )

    async def settlement(self, request: StartSettlementInput) -> None:
        """Signal-with-start: a settlement that runs already hears of the event, else one begins."""
        subject = request.settlement.subject
        await self._client.start_workflow(
            SettlementWorkflow.run,
            request.settlement,
            id=settlement_workflow_id(subject),
            task_queue=self._task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            start_signal="cancel" if request.event_id is None else "payment_event",
            start_signal_args=[] if request.event_id is None else [request.event_id],
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            static_summary=request.because[:200],
            rpc_timeout=START_TIMEOUT,
        )

    async def refund(self, refund: RefundOrderInput) -> RefundHandle:
        return await self._client.start_workflow(
            RefundWorkflow.run,
            refund,
            id=refund_workflow_id(refund.order_id, refund.key),
            task_queue=self._task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            static_summary=f"Refund of {refund.order_id}",
            rpc_timeout=START_TIMEOUT,
        )


def _expected(checkout: CheckoutInput) -> TypedSearchAttributes:
    """How the order will show in a moment, so that a checkout which meets no trouble need not say it again: each change
    costs an event and a write. One that has to wait for its session shows as pending; the id is corrected
    later if the order has another."""
    pairs: list[SearchAttributePair[str]] = [SearchAttributePair(CHECKOUT_STATUS, OrderStatus.AWAITING_PAYMENT.value)]
    if checkout.order_id is not None:
        pairs.append(SearchAttributePair(ORDER_ID, checkout.order_id))
    return TypedSearchAttributes(pairs)


def sweep_schedule(interval: float) -> Schedule:
    """The sweep, every `interval` seconds. One that is still running is doing the work already; missed ones are made up
    for by the next."""
    action = ScheduleActionStartWorkflow(
        SweepWorkflow.run,
        id=SWEEP_WORKFLOW_ID,
        task_queue=TASK_QUEUE,
        task_timeout=WORKFLOW_TASK_TIMEOUT,
        execution_timeout=SWEEP_LIMIT,
        static_summary="Hand orphaned orders to a settlement",
    )
    return Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=interval))]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(seconds=60)),
    )


async def has_sweep(client: Client) -> bool:
    """Whether the sweep's schedule is there."""
    try:
        await client.get_schedule_handle(SWEEP_SCHEDULE_ID).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def keep_sweeping(client: Client, interval: float) -> None:
    """Until cancelled: create the schedule, or give it the interval (seconds) that is set now; and again whenever it is
    gone. Temporal may lose all it knew, PostgreSQL does not."""
    schedule, is_set = sweep_schedule(interval), False
    while True:
        try:
            if not is_set or not await has_sweep(client):
                try:
                    await client.create_schedule(SWEEP_SCHEDULE_ID, schedule)
                except ScheduleAlreadyRunningError:
                    handle = client.get_schedule_handle(SWEEP_SCHEDULE_ID)
                    await handle.update(lambda _: ScheduleUpdate(schedule=schedule))
            is_set = True
        except Exception as error:  # of any kind: nobody would start this again
            logger.warning("The sweep's schedule cannot be set yet: %s", error)
        await asyncio.sleep(interval if is_set else _SCHEDULE_PAUSE)
