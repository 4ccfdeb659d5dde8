"""The ladder of limits, by what it does: nobody who froze, died or fell silent is waited for longer than it says."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest

from checkout.contracts import CheckoutInput, SettlementInput, StartSettlementInput
from checkout.orders import CartLine, cart_fingerprint
from db.engine import create_engine, sqlstate
from runtime.connection import connect
from stack.stack import Stack
from tests.support.eventually import eventually
from tests.support.lab import PEN
from tests.support.orders import awaiting, open_order
from tests.support.patience import longest_lost_task
from tests.support.provider import FakeProvider
from tests.support.proxy import TcpProxy
from tests.support.rig import settings_for
from worker import policies
from worker.app import Dependencies, create_worker
from worker.starting import Starter

LOCK = "SELECT * FROM shop.products WHERE sku = 'pen' FOR UPDATE"
QUICK = policies.QUICK.total_seconds()


@pytest.fixture
async def ours(database_url: str) -> AsyncIterator[AsyncEngine]:
    """As a process has it, but for its own limit on answers, the last of them: it would hide those of the server."""
    engine = create_engine(database_url, pool_size=4, connect_timeout=10, command_timeout=None)
    yield engine
    await engine.dispose()


@asynccontextmanager
async def holding(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that has locked the pen's row and does nothing any more."""
    connection = await engine.connect()
    try:
        await connection.exec_driver_sql(LOCK)
        yield connection
    finally:
        await connection.invalidate()
        await connection.close()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


async def test_who_waits_for_a_row_gives_up_before_its_step_does(ours: AsyncEngine, engine: AsyncEngine) -> None:
    async with holding(engine) as other:
        await other.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")
        with within(QUICK), pytest.raises(DBAPIError) as refusal:
            await open_order(ours, "k", CartLine("pen", 1))
    assert sqlstate(refusal.value) == "55P03", "lock_not_available"


async def test_a_process_that_froze_with_a_row_locked_gives_it_back(ours: AsyncEngine) -> None:
    async def opened() -> bool:
        try:
            await open_order(ours, "k", CartLine("pen", 1))
        except DBAPIError:
            return False
        return True

    async with holding(ours):
        await eventually(opened, within=policies.DATABASE.attempt.total_seconds(), what="the next buyer's order")


async def test_a_statement_that_does_not_end_is_ended(ours: AsyncEngine) -> None:
    async with ours.connect() as connection:
        with within(QUICK), pytest.raises(DBAPIError) as refusal:
            await connection.exec_driver_sql("SELECT pg_sleep(60)")
    assert sqlstate(refusal.value) == "57014", "query_canceled"


async def test_a_network_that_swallows_everything_is_not_waited_for(database_url: str) -> None:
    host, port = database_url.rpartition("@")[2].partition("/")[0].split(":")
    async with TcpProxy(host, int(port)) as proxy:
        engine = create_engine(database_url.replace(f":{port}/", f":{proxy.port}/"), pool_size=1, connect_timeout=10)
        async with engine.connect() as connection:
            await connection.exec_driver_sql("SELECT 1")
            proxy.blackhole()
            with within(QUICK), pytest.raises((DBAPIError, TimeoutError)):
                await connection.exec_driver_sql("SELECT 1")
        await engine.dispose()


@pytest.mark.parametrize("kind", ["checkout", "settlement"])
async def test_a_worker_that_died_with_a_task_is_not_waited_for_long(
    kind: str, engine: AsyncEngine, database_url: str, temporal_server: Stack
) -> None:
    """It had just taken the task. Temporal's own patience would be ten seconds, which is all of a customer's."""
    temporal = await connect(settings_for(database_url, temporal_server.config.settings.temporal_port))
    starter = Starter(temporal, f"died-{kind}")
    if kind == "checkout":
        await starter.checkout(CheckoutInput("died", PEN, cart_fingerprint(PEN, None), 900.0))
    else:
        order = await awaiting(engine, "died-too")
        await starter.settlement(StartSettlementInput(SettlementInput(None, order.order_id), "evt_1", "a test"))
    request = PollWorkflowTaskQueueRequest(
        namespace=temporal.namespace, task_queue=TaskQueue(name=f"died-{kind}"), identity="soon dead"
    )
    task = await temporal.workflow_service.poll_workflow_task_queue(request, timeout=timedelta(seconds=20))
    assert task.task_token
    provider = FakeProvider()
    dependencies = Dependencies(engine, provider, temporal, dispatch_duration=0.2)
    async with create_worker(dependencies, task_queue=f"died-{kind}"):
        await eventually(lambda: bool(provider.calls), within=30, what="the next worker's first step")
    history = await temporal.get_workflow_handle(task.workflow_execution.workflow_id).fetch_history()
    assert 0 < longest_lost_task(history) < 8
