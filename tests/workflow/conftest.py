"""The workflows on Temporal's time-skipping server, over a real PostgreSQL, with the payment service in memory."""

import contextlib
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import WorkflowEnvironment

from runtime.connection import data_converter
from tests.support.lab import Lab
from tests.support.provider import FakeProvider
from tests.support.sandbox import sandbox
from worker import warehouse
from worker.app import Dependencies, create_worker


@pytest.fixture
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    binary = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    assert binary, "temporal-test-server is missing: install requirements/dev.lock (`make test` does)"
    start = partial(
        WorkflowEnvironment.start_time_skipping, test_server_existing_path=binary, data_converter=data_converter()
    )
    async with await _started(start) as environment:
        await Lab.register_search_attributes(environment.client)
        yield environment


async def _started(start: Callable[[], Awaitable[WorkflowEnvironment]]) -> WorkflowEnvironment:
    """The SDK gives the server 5 seconds to come up, which a busy machine may not."""
    for _ in range(2):
        with contextlib.suppress(RuntimeError):
            return await start()
    return await start()


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
async def lab(
    time_skipping: WorkflowEnvironment, engine: AsyncEngine, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Lab]:
    """A running worker and the means to act as customer, provider and operator."""
    # Else the SDK fails a workflow task in which the machine stood still for 2 seconds, and its steps run twice.
    monkeypatch.setenv("TEMPORAL_DEBUG", "1")
    lab = Lab(time_skipping, engine, provider)
    dependencies = Dependencies(engine, provider, time_skipping.client, dispatch_duration=0.0)
    async with create_worker(dependencies, task_queue=lab.task_queue, workflow_runner=sandbox()):
        yield lab


@pytest.fixture(autouse=True)
async def _ledgers_stay_right(lab: Lab) -> AsyncIterator[None]:
    """Whatever a test does: the auditor has nothing to say afterwards."""
    yield

    await warehouse.dispatch(lab.engine)
    assert await lab.violations() == []
