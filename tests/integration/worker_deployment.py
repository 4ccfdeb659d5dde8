"""A Temporal worker deployment of a test's own: its versions' workers, and what an operator types to change them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import Worker

from checkout.contracts import CheckoutInput, CheckoutResult
from checkout.ids import CHECKOUT_WORKFLOW
from checkout.orders import Order, OrderStatus, cart_fingerprint
from db.order_queries import find_by_key
from stack.temporal import program
from tests.support.eventually import eventually
from tests.support.lab import PEN
from tests.support.provider import FakeProvider
from worker.app import WORKFLOWS, Dependencies, create_worker
from worker.starting import Starter
from worker.workflows.checkout import CheckoutWorkflow

Handle = WorkflowHandle[CheckoutWorkflow, CheckoutResult]


@workflow.defn(name=CHECKOUT_WORKFLOW)
class Broken:
    """A release that opens no order: each of its workflow tasks fails, and is tried again."""

    @workflow.run
    async def run(self, checkout: CheckoutInput) -> CheckoutResult:
        raise RuntimeError("a bad version")

    @workflow.signal
    def payment_event(self, event_id: str) -> None: ...


@dataclass
class Deployment:
    """A deployment of this test's own, on a task queue of the same name."""

    name: str
    address: str
    client: Client
    engine: AsyncEngine
    provider: FakeProvider

    @asynccontextmanager
    async def worker(self, build_id: str, *, instead: type | None = None) -> AsyncIterator[Worker]:
        """A worker of this version; `instead` of our CheckoutWorkflow it may run another."""
        workflows: Sequence[type] = WORKFLOWS if instead is None else (instead,)
        dependencies = Dependencies(self.engine, self.provider, self.client, dispatch_duration=0.2, sweep_grace=0.0)
        version = WorkerDeploymentVersion(self.name, build_id)
        async with create_worker(dependencies, task_queue=self.name, version=version, workflows=workflows) as worker:
            await eventually(lambda: self._knows(build_id), within=20, what=f"version {build_id}")
            yield worker

    async def _knows(self, build_id: str) -> bool:
        return build_id in await self.temporal("worker deployment describe", "--name", self.name)

    async def make_current(self, build_id: str) -> None:
        await self.temporal("worker deployment set-current-version", *self.version(build_id), "--yes")

    def version(self, build_id: str) -> tuple[str, ...]:
        return "--deployment-name", self.name, "--build-id", build_id

    async def temporal(self, command: str, *options: str) -> str:
        """As an operator types it. What it prints, errors included."""
        process = await asyncio.create_subprocess_exec(
            str(program()), *command.split(), *options, "--address", self.address,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        return (await process.communicate())[0].decode()

    async def take_over(self, build_id: str) -> None:
        query = f'TemporalWorkerDeploymentVersion = "{self.name}:{build_id}" AND ExecutionStatus = "Running"'

        async def is_over() -> bool:
            return "Total: 0" in await self.temporal("workflow count", "--query", query)

        await eventually(lambda: _not(is_over()), within=20, what="visibility telling of them")
        await self.temporal("workflow terminate", "--reason", "taken over", "--yes", "--query", query)
        await eventually(is_over, within=20, what="the termination")

    async def buy(self) -> Handle:
        key = f"key-{uuid.uuid4()}"
        return await Starter(self.client, self.name).checkout(CheckoutInput(key, PEN, cart_fingerprint(PEN, None), 900))

    async def order(self, handle: Handle) -> Order | None:
        async with self.engine.connect() as connection:
            return await find_by_key(connection, handle.id)

    async def waiting(self, handle: Handle) -> Order:
        """The order, once its customer can pay."""

        async def look() -> Order | None:
            order = await self.order(handle)
            return order if order is not None and order.status is OrderStatus.AWAITING_PAYMENT else None

        order = await eventually(look, within=20, what="the session")
        assert order is not None
        return order

    async def pay(self, handle: Handle) -> None:
        order = await self.waiting(handle)
        assert order.session is not None
        self.provider.pay(order.session.session_id)
        await handle.signal(CheckoutWorkflow.payment_event, f"evt_{uuid.uuid4()}")

    async def fulfilled(self, handle: Handle, within: float = 20) -> None:
        async def has_been() -> bool:
            order = await self.order(handle)
            return order is not None and order.status is OrderStatus.FULFILLED

        await eventually(has_been, within=within, what="the order being fulfilled")

    async def version_of(self, handle: WorkflowHandle[object, object] | Handle) -> str:
        """The build that the workflow's last task was done by."""

        async def done_by() -> str:
            told = (await handle.describe()).raw_description.workflow_execution_info.versioning_info
            return str(told.deployment_version.build_id)

        return await eventually(done_by, within=20, what="a task being done")


async def _not(answer: Awaitable[bool]) -> bool:
    return not await answer
