"""Find orders that nobody looks after any more, and hand each to a workflow."""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from checkout.contracts import SettlementInput, SweepResult
from checkout.ids import TASK_QUEUE, settlement_workflow_id
from db import order_queries
from db.order_queries import UnsettledOrder
from runtime.boundaries import Step
from runtime.failpoints import around
from worker import warehouse
from worker.keepers import is_looked_after, running_workflows
from worker.policies import WORKFLOW_TASK_TIMEOUT

logger = logging.getLogger("worker")

# How many are handed on in one sweep; the rest is left for the next.
BATCH = 500
_HEALTH_TIMEOUT = timedelta(seconds=2)


class SweepActivities:
    """`grace` in seconds: an order younger than that may simply not have been reached yet.

    `listing` answers the ids of the workflows that run, and may lag.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        client: Client,
        *,
        grace: float,
        batch: int = BATCH,
        listing: Callable[[Client], Awaitable[set[str]]] = running_workflows,
    ) -> None:
        self._engine = engine
        self._client = client
        self._grace = timedelta(seconds=grace)
        self._batch = batch
        self._listing = listing

    @activity.defn
    @around(Step.SWEEP)
    async def sweep_orders(self) -> SweepResult:
        """Start a settlement for each live or owing order without a running workflow, and dispatch what is overdue.

        An order that cannot be asked about or handed on is told of in the log, and holds up none of the others.
        """
        dispatched = await warehouse.dispatch(self._engine, overdue=self._grace)
        async with self._engine.connect() as connection:
            live = await order_queries.live_orders(connection, self._grace)
            owing = await order_queries.owing_orders(connection, self._grace)
        # One listing instead of a question an order. It may lag, so an order it misses is asked for by id.
        running = await self._listing(self._client) if live or owing else set()
        settlements = 0
        for orphan in [*owing, *live]:
            async with self._apart(orphan.order_id):
                if await is_looked_after(self._client, orphan, running):
                    continue
                activity.heartbeat(orphan.order_id)
                await self._settle(orphan)
                settlements += 1
            if settlements == self._batch:
                break
        return SweepResult(len(live), settlements, dispatched)

    @contextlib.asynccontextmanager
    async def _apart(self, order_id: str) -> AsyncIterator[None]:
        """Whatever is wrong with one order, the others get their turn. Raises only when Temporal itself is away."""
        try:
            yield
        except Exception as error:
            await self._client.service_client.check_health(timeout=_HEALTH_TIMEOUT)
            logger.error("Order %s needs attention: the sweep cannot look after it: %r", order_id, error)

    @around(Step.HAND_TO_SETTLEMENT)
    async def _settle(self, order: UnsettledOrder) -> None:
        await self._client.start_workflow(
            "SettlementWorkflow",
            SettlementInput(session_id=order.session_id, order_id=order.order_id),
            id=settlement_workflow_id(order.session_id or order.order_id),
            task_queue=TASK_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            static_summary=f"Orphaned order {order.order_id}",
        )
