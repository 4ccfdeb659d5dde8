"""What a worker is made of, given its dependencies: used by the process, the tests and the replayer alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import (
    PollerBehaviorSimpleMaximum,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
    WorkflowRunner,
)

from checkout.ids import TASK_QUEUE
from worker import policies
from worker.activities.checkouts import PROCESSING_TIMEOUT, CheckoutActivities
from worker.activities.money import MoneyActivities
from worker.activities.settlements import SettlementActivities
from worker.payments.port import PaymentProvider
from worker.starting import Starter
from worker.workflows.checkout import CheckoutWorkflow
from worker.workflows.refund import RefundWorkflow
from worker.workflows.settlement import SettlementWorkflow
from worker.workflows.sweep import SweepWorkflow

WORKFLOWS: Sequence[type] = (CheckoutWorkflow, SettlementWorkflow, RefundWorkflow, SweepWorkflow)


@dataclass(frozen=True)
class Dependencies:
    """What the activities hold. Durations in seconds."""

    engine: AsyncEngine
    provider: PaymentProvider
    client: Client
    dispatch_duration: float
    sweep_grace: float = 15.0
    processing_timeout: float = PROCESSING_TIMEOUT

    def activities(self, task_queue: str = TASK_QUEUE) -> list[Callable[..., Any]]:
        checkouts = CheckoutActivities(
            self.engine,
            self.provider,
            dispatch_duration=self.dispatch_duration,
            processing_timeout=self.processing_timeout,
        )
        money = MoneyActivities(self.engine, self.provider)
        start = Starter(self.client, task_queue).settlement
        settlements = SettlementActivities(self.engine, self.client, start, grace=self.sweep_grace)
        return [
            checkouts.open_checkout,
            checkouts.ask_provider,
            checkouts.find_order,
            checkouts.process_order,
            checkouts.fulfil_order,
            checkouts.release_order,
            checkouts.create_payment_session,
            checkouts.retrieve_session,
            checkouts.expire_session,
            money.refund_payment,
            money.request_refund,
            money.make_refund,
            money.give_up_refund,
            money.follow_money,
            settlements.start_settlement,
            settlements.sweep_orders,
        ]


def create_worker(
    dependencies: Dependencies,
    *,
    task_queue: str = TASK_QUEUE,
    version: WorkerDeploymentVersion | None = None,
    workflows: Sequence[type] = WORKFLOWS,
    workflow_runner: WorkflowRunner | None = None,
) -> Worker:
    """The worker of the process. It has no sandbox, with which a checkout costs 41 ms of CPU instead of 24;
    `tests/workflow` gives a `workflow_runner` that has one (docs/decisions/0015). With a `version`, new checkouts come
    only while it is the current one; those it began stay with it to their end (docs/decisions/0025)."""
    # "Checkout with UUID … succeeded!" shall be the whole line, as in the guide.
    workflow.logger.workflow_info_on_message = False
    return Worker(
        dependencies.client,
        task_queue=task_queue,
        workflows=workflows,
        activities=dependencies.activities(task_queue),
        workflow_runner=workflow_runner or UnsandboxedWorkflowRunner(),
        deployment_config=None if version is None else _pinned(version),
        graceful_shutdown_timeout=policies.DRAIN,
        max_cached_workflows=1500,
        max_concurrent_workflow_tasks=40,
        max_concurrent_local_activities=20,
        max_concurrent_activities=20,
        sticky_queue_schedule_to_start_timeout=policies.STICKY_SCHEDULE_TO_START_TIMEOUT,
        # Half of them ask for new checkouts, not only for more of those it has: a customer who has just pressed Buy
        # is answered in 0.9 s instead of 2 s (p50, 30 clients), and no order is fulfilled later for it.
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(10),
        nonsticky_to_sticky_poll_ratio=0.5,
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(2),
    )


def _pinned(version: WorkerDeploymentVersion) -> WorkerDeploymentConfig:
    return WorkerDeploymentConfig(
        version=version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.PINNED
    )
