"""Find orders that nobody looks after any more, and hand each to a workflow."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from checkout.contracts import Order, SettlementInput, SweepResult
from checkout.ids import TASK_QUEUE, keepers_of, settlement_workflow_id
from db import order_queries
from runtime.boundaries import Step
from runtime.failpoints import around
from worker import warehouse
from worker.policies import WORKFLOW_TASK_TIMEOUT

# How many are handed on in one sweep; the rest is left for the next.
BATCH = 500
# How many are looked at. All that can be live, with room: looking at the oldest few only, a crowd of healthy orders
# would hide an orphan behind them for as long as it lasts.
MOST_LIVE = 100_000


class SweepActivities:
    """`grace` in seconds: an order younger than that may simply not have been reached yet."""

    def __init__(self, engine: AsyncEngine, client: Client, *, grace: float) -> None:
        self._engine = engine
        self._client = client
        self._grace = timedelta(seconds=grace)

    @activity.defn
    @around(Step.SWEEP)
    async def sweep_orders(self) -> SweepResult:
        """Start a settlement for each live or owing order without a running workflow, and dispatch what is overdue."""
        dispatched = await warehouse.dispatch(self._engine, overdue=self._grace)
        async with self._engine.connect() as connection:
            live = await order_queries.live_orders(connection, self._grace, MOST_LIVE)
            owing = await order_queries.owing_orders(connection, self._grace, MOST_LIVE)
        # One listing instead of a question an order. It may lag, so an order it misses is asked for by id.
        running = await self._running_workflows() if live or owing else set()
        settlements = 0
        for order in [*owing, *live]:
            if await self._is_looked_after(order, running):
                continue
            activity.heartbeat(order.order_id)
            await self._settle(order)
            settlements += 1
            if settlements == BATCH:
                break
        return SweepResult(len(live), settlements, dispatched)

    async def _running_workflows(self) -> set[str]:
        types = "WorkflowType IN ('CheckoutWorkflow', 'SettlementWorkflow')"
        query = f"ExecutionStatus = 'Running' AND {types} AND TaskQueue = '{TASK_QUEUE}'"
        return {execution.id async for execution in self._client.list_workflows(query, page_size=1000)}

    async def _is_looked_after(self, order: Order, running: set[str]) -> bool:
        session_id = order.session.session_id if order.session else None
        keepers = keepers_of(order.checkout_key, order.order_id, session_id)
        if not running.isdisjoint(keepers):
            return True
        for workflow_id in keepers:
            if await self._is_running(workflow_id):
                return True
        return False

    async def _is_running(self, workflow_id: str) -> bool:
        try:
            description = await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return description.status is WorkflowExecutionStatus.RUNNING

    @around(Step.HAND_TO_SETTLEMENT)
    async def _settle(self, order: Order) -> None:
        session_id = order.session.session_id if order.session else None
        await self._client.start_workflow(
            "SettlementWorkflow",
            SettlementInput(session_id=session_id, order_id=order.order_id),
            id=settlement_workflow_id(session_id or order.order_id),
            task_queue=TASK_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            static_summary=f"Orphaned order {order.order_id}",
        )
