"""Old and new workers side by side, by the commands of docs/operations.md, "Upgrades while checkouts wait"."""

import asyncio
import os
import re
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import workflow
from temporalio.client import Client, ScheduleActionStartWorkflow, WorkflowHandle
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker

from checkout.contracts import CheckoutInput, CheckoutResult
from checkout.orders import Order, OrderStatus, cart_fingerprint
from cli.checkup import Patient, Wrong, workers
from db.order_queries import find_by_key
from runtime.connection import connect
from stack.probes import free_ports
from stack.stack import Stack
from stack.temporal import program
from tests.support.eventually import eventually
from tests.support.lab import PEN
from tests.support.provider import FakeProvider
from tests.support.rig import settings_for
from worker import policies
from worker.app import WORKFLOWS, Dependencies, create_worker
from worker.starting import Starter, sweep_schedule
from worker.workflows.checkout import CheckoutWorkflow
from worker.workflows.sweep import SweepWorkflow

Handle = WorkflowHandle[CheckoutWorkflow, CheckoutResult]


@workflow.defn(name="CheckoutWorkflow")
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


@pytest.fixture
async def deployment(temporal_server: Stack, database_url: str, engine: AsyncEngine) -> Deployment:
    client = await connect(settings_for(database_url, temporal_server.config.settings.temporal_port))
    return Deployment(f"shop-{uuid.uuid4().hex}", temporal_server.urls["temporal"], client, engine, FakeProvider())


async def test_a_waiting_checkout_ends_on_the_version_it_began_on_and_new_ones_begin_on_the_new(
    deployment: Deployment,
) -> None:
    async with deployment.worker("old"):
        await deployment.make_current("old")
        before = await deployment.buy()
        await deployment.waiting(before)
        async with deployment.worker("new"):
            await deployment.make_current("new")
            after = await deployment.buy()
            await deployment.waiting(after)  # so all of Temporal knows by now which version is current
            await asyncio.gather(deployment.pay(before), deployment.pay(after))
            await asyncio.gather(deployment.fulfilled(before), deployment.fulfilled(after))
            await asyncio.gather(before.result(), after.result())
            assert (await deployment.version_of(before), await deployment.version_of(after)) == ("old", "new")


async def test_a_version_that_is_not_current_is_given_nothing(deployment: Deployment) -> None:
    async with deployment.worker("old"):
        await deployment.make_current("old")
        async with deployment.worker("new"):
            for handle in [await deployment.buy() for _ in range(5)]:
                await deployment.waiting(handle)
                assert await deployment.version_of(handle) == "old"


async def test_a_bad_version_is_rolled_back_and_what_began_on_it_goes_on(deployment: Deployment) -> None:
    async with deployment.worker("good"):
        await deployment.make_current("good")
        before = await deployment.buy()
        await deployment.waiting(before)
        async with deployment.worker("bad", instead=Broken):
            await deployment.make_current("bad")
            stuck = await deployment.buy()
            await eventually(lambda: _has_failed(stuck), within=20, what="the bad version's first failure")
            assert await deployment.order(stuck) is None
            await deployment.pay(before)
            await deployment.fulfilled(before)  # it knows nothing of the bad one
            await deployment.make_current("good")
        await deployment.pay(stuck)
        await deployment.fulfilled(stuck)


async def test_what_waits_on_a_version_that_is_switched_off_is_taken_over_once_it_is_terminated(
    deployment: Deployment,
) -> None:
    async with deployment.worker("old"):
        await deployment.make_current("old")
        handle = await deployment.buy()
        order = await deployment.waiting(handle)
        async with deployment.worker("new"):
            await deployment.make_current("new")
    async with deployment.worker("new"):
        await deployment.pay(handle)
        with pytest.raises(AssertionError):  # its version's worker is gone
            await deployment.fulfilled(handle, within=3)
        await deployment.take_over("old")
        swept = await deployment.client.start_workflow(
            SweepWorkflow.run, id=f"sweep-{deployment.name}", task_queue=deployment.name
        )
        assert (await swept.result()).settlements_started == 1
        await deployment.fulfilled(handle)
        assert order.session is not None
        settlement = deployment.client.get_workflow_handle(f"settle:{order.session.session_id}")
        assert await deployment.version_of(settlement) == "new"


async def test_a_worker_process_is_of_the_version_that_its_settings_say(
    temporal_server: Stack, database_url: str, deployment: Deployment
) -> None:
    [port] = free_ports(1)
    ours = {
        "DATABASE_URL": database_url,
        "CHECKOUT_TEMPORAL_PORT": str(temporal_server.config.settings.temporal_port),
        "CHECKOUT_WORKER_PORT": str(port),
        "CHECKOUT_DEPLOYMENT_NAME": deployment.name,
        "CHECKOUT_BUILD_ID": "2026-11-25.1",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "worker", env={**os.environ, **ours})
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:

            async def is_ready() -> bool:
                try:
                    return (await http.get("/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(is_ready, within=60, what="the worker")
        # It polls, so its version can be made current; before that it is given nothing.
        version = deployment.version("2026-11-25.1")

        async def polls() -> bool:
            return "activity" in await deployment.temporal("worker deployment describe-version", *version)

        await eventually(polls, within=20, what="the version's task queues")
        ramping = await deployment.temporal(
            "worker deployment set-ramping-version", *version, "--percentage", "10", "--yes"
        )
        assert "Successfully" in ramping
        settings = settings_for(database_url, temporal_server.config.settings.temporal_port)
        patient = Patient(settings, gateway="")
        with pytest.raises(Wrong, match=r"set-current-version --build-id 2026-11-25\.1 --deployment-name shop-"):
            await workers(patient)
        await deployment.make_current("2026-11-25.1")
        told = await deployment.temporal("worker deployment describe", "--name", deployment.name)
        await eventually(lambda: _are_well(patient), within=20, what="the doctor hearing of it")
        assert re.search(r"CurrentVersionBuildID +2026-11-25\.1", told)
    finally:
        process.terminate()
        async with asyncio.timeout(20):
            assert await process.wait() == 0


async def _are_well(patient: Patient) -> bool:
    with suppress(Wrong):
        return "asks for work" in await workers(patient)
    return False


async def _not(answer: Awaitable[bool]) -> bool:
    return not await answer


async def _has_failed(handle: Handle) -> bool:
    history = await handle.fetch_history()
    return any(event.HasField("workflow_task_failed_event_attributes") for event in history.events)


def test_a_sweep_of_a_version_that_is_gone_does_not_keep_the_next_from_running() -> None:
    action = sweep_schedule(30).action
    assert isinstance(action, ScheduleActionStartWorkflow)
    limit = action.execution_timeout
    assert limit is not None
    assert policies.SWEEP_ATTEMPT * (policies.SWEEP_RETRY.maximum_attempts or 1) < limit < timedelta(minutes=5)


def test_no_workflow_names_a_behaviour_that_a_worker_without_a_version_could_not_have() -> None:
    """The server refuses what such a worker answers, and its tasks fail over and over."""
    definitions = [workflow._Definition.must_from_class(each) for each in WORKFLOWS]
    assert {each.versioning_behavior for each in definitions} == {VersioningBehavior.UNSPECIFIED}
