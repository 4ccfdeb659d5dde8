"""Old and new workers side by side, by the commands of docs/operations.md, "Upgrades while checkouts wait"."""

import asyncio
import os
import re
import sys
import uuid
from contextlib import suppress
from datetime import timedelta

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import workflow
from temporalio.client import ScheduleActionStartWorkflow
from temporalio.common import VersioningBehavior

from cli.checkup import Patient, Wrong, workers
from runtime.connection import connect
from stack.probes import free_ports
from stack.stack import Stack
from tests.integration.worker_deployment import Broken, Deployment, Handle
from tests.support.eventually import eventually
from tests.support.provider import FakeProvider
from tests.support.rig import settings_for
from worker import policies
from worker.app import WORKFLOWS
from worker.starting import sweep_schedule
from worker.workflows.sweep import SweepWorkflow


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
