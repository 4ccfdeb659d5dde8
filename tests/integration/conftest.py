"""A Temporal for each file, and over it a fresh shop for each test; or a payment service of a test's own."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import create_engine
from stack.config import StackConfig
from stack.parts import Part
from stack.stack import Stack
from tests.integration.simulator import Simulator, simulating
from tests.support.databases import DatabaseServer, migrate_payments
from tests.support.rig import Rig, assembled


def _of_a_test(part: Part) -> Part:
    """A server that pauses workflows, which ours cannot do by default, as servers to come will."""
    return replace(
        part,
        argv=(*part.argv, "--dynamic-config-value", "frontend.WorkflowPauseEnabled=true"),
        stop_within=0.0,  # nothing of it is kept, and a polite end takes it two seconds
    )


@pytest.fixture(scope="module")
async def temporal_server(scratch: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stack]:
    """Workflows that a test leaves running go on in the next one's worker: let none of them act there."""
    config = StackConfig.for_tests(scratch / request.module.__name__, parts=("temporal",), adapt=_of_a_test)
    async with Stack(config) as stack:
        yield stack


@pytest.fixture
async def rig(database_url: str, engine: AsyncEngine, temporal_server: Stack) -> AsyncIterator[Rig]:
    async with assembled(database_url, engine, temporal_server) as rig:
        yield rig


@pytest.fixture
async def prepared(database_server: DatabaseServer, template: str) -> AsyncIterator[AsyncEngine]:
    """A database of the test's own, as the one that its file has prepared: the fixture `template` names that."""
    async with database_server.fresh(template) as url:
        engine = create_engine(url)
        yield engine
        await engine.dispose()


@pytest.fixture(scope="session")
async def payments_template(database_server: DatabaseServer) -> AsyncIterator[str]:
    """The name of a database with the payment service's tables: made once, copied for every simulator."""
    async with database_server.empty() as url:
        engine = create_engine(url, pool_size=1, connect_timeout=10, command_timeout=None)
        await migrate_payments(engine)
        await engine.dispose()
        yield url.rpartition("/")[2]


@pytest.fixture
async def simulator(database_server: DatabaseServer, payments_template: str) -> AsyncIterator[Simulator]:
    async with database_server.fresh(payments_template) as database_url, simulating(database_url) as simulator:
        yield simulator
