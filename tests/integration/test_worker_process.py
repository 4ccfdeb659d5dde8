"""What a worker says of itself, what it sees to besides its tasks, and how it goes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from checkout.contracts import CheckoutInput
from checkout.errors import PaymentUnreachable
from checkout.ids import SWEEP_SCHEDULE_ID
from checkout.orders import OrderStatus, cart_fingerprint
from checkout.sessions import PaymentSession, SessionRequest
from db.order_queries import find_by_key
from runtime.background import beside
from runtime.connection import connect
from stack.stack import Stack
from tests.support.eventually import eventually
from tests.support.lab import PEN
from tests.support.provider import FakeProvider, times
from tests.support.rig import settings_for
from worker.app import Dependencies, create_worker
from worker.health import HealthServer, PollerWatch
from worker.starting import has_sweep, keep_sweeping
from worker.workflows.checkout import CheckoutWorkflow


@pytest.fixture
async def temporal(temporal_server: Stack, database_url: str) -> Client:
    return await connect(settings_for(database_url, temporal_server.config.settings.temporal_port))


class SlowProvider(FakeProvider):
    """Takes its time to open a session once it is an activity of its own: the tries before, while the order is opened
    and of the step itself, are the workflow task's."""

    def __init__(self) -> None:
        super().__init__(fail={"create": times(2, PaymentUnreachable("away"))})
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def create_session(self, request: SessionRequest, key_number: int = 1) -> PaymentSession:
        session = await super().create_session(request, key_number)
        self.asked.set()
        await self.go_on.wait()
        return session


async def test_a_step_that_is_under_way_may_end_when_the_worker_stops(temporal: Client, engine: AsyncEngine) -> None:
    provider = SlowProvider()
    worker = create_worker(Dependencies(engine, provider, temporal, dispatch_duration=0.2), task_queue="stops")
    running = asyncio.create_task(worker.run())
    checkout = CheckoutInput("in-the-middle", PEN, cart_fingerprint(PEN, None), 900.0)
    await temporal.start_workflow(CheckoutWorkflow.run, checkout, id="in-the-middle", task_queue="stops")
    await asyncio.wait_for(provider.asked.wait(), 20)
    stopping = asyncio.create_task(worker.shutdown())
    done, _ = await asyncio.wait({stopping}, timeout=1)
    assert not done, "it waits for the step"
    provider.go_on.set()
    await asyncio.wait_for(stopping, 20)
    await running
    async with engine.connect() as connection:
        order = await find_by_key(connection, "in-the-middle")
    assert order is not None
    assert order.status is OrderStatus.AWAITING_PAYMENT


async def test_a_worker_without_work_stops_at_once(temporal: Client, engine: AsyncEngine) -> None:
    worker = create_worker(Dependencies(engine, FakeProvider(), temporal, dispatch_duration=0.2), task_queue="idle")
    running = asyncio.create_task(worker.run())
    await eventually(lambda: worker.is_running)
    await asyncio.wait_for(worker.shutdown(), 8)
    await running


async def test_temporal_is_asked_whether_it_hears_this_worker(temporal: Client, engine: AsyncEngine) -> None:
    watch = PollerWatch(temporal, "heard")
    await watch.look()
    assert "does not hear" in (watch.trouble or "")
    dependencies = Dependencies(engine, FakeProvider(), temporal, dispatch_duration=0.2)
    async with create_worker(dependencies, task_queue="heard"), beside(watch.watch()):
        await eventually(lambda: watch.trouble is None)


async def test_polls_that_stopped_are_told_from_polls_that_go_on(temporal: Client, engine: AsyncEngine) -> None:
    """Temporal remembers a poller for minutes after it has gone."""
    dependencies = Dependencies(engine, FakeProvider(), temporal, dispatch_duration=0.2)
    watch = PollerWatch(temporal, "gone", silence=1.0)
    async with create_worker(dependencies, task_queue="gone"):
        await eventually(lambda: _is_heard(watch), what="the worker being heard")
    await eventually(lambda: _is_not_heard(watch), what="the silence")


async def _is_heard(watch: PollerWatch) -> bool:
    await watch.look()
    return watch.trouble is None


async def _is_not_heard(watch: PollerWatch) -> bool:
    return not await _is_heard(watch)


async def test_a_namespace_that_is_gone_is_no_place_to_work_in(temporal: Client) -> None:
    options: dict[str, Any] = temporal.config() | {"namespace": "nowhere"}
    watch = PollerWatch(Client(**options))
    await watch.look()
    assert "NOT_FOUND" in (watch.trouble or "")


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[HealthServer, httpx.AsyncClient]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with HealthServer(port) as server, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        yield server, http


async def test_the_probes_say_what_is_wrong() -> None:
    async with serving() as (server, http):
        assert (await http.get("/livez")).status_code == 200
        starting = await http.get("/readyz")
        assert (starting.status_code, starting.text) == (503, "The worker is starting\n")
        server.trouble = lambda: None
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.text) == (200, "ok\n")
        head = await http.head("/readyz")
        assert (head.status_code, head.headers["content-length"], head.content) == (200, "3", b"")
        assert (await http.get("/other")).status_code == 503
        assert (await http.post("/readyz")).status_code == 503


async def test_the_sweeps_schedule_is_made_again_when_it_is_gone(temporal: Client) -> None:
    """With Temporal's data it is lost, and nobody but a worker makes it."""
    keeping = asyncio.create_task(keep_sweeping(temporal, interval=1))
    try:
        await eventually(lambda: has_sweep(temporal), what="the schedule")
        await temporal.get_schedule_handle(SWEEP_SCHEDULE_ID).delete()
        await eventually(lambda: has_sweep(temporal), what="the schedule, again")
    finally:
        keeping.cancel()
    await temporal.get_schedule_handle(SWEEP_SCHEDULE_ID).delete()
