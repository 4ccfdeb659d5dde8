"""Where schedules happen: the time-skipping server, a real PostgreSQL, the real worker, the gateway's own code.

One database and one server serve many schedules. A server whose clock stands still (it does so for good once a
workflow was terminated in mid-activity) is replaced, and with it all histories are lost: a fault like any other.
"""

import asyncio
import contextlib
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.testservice.v1 import LockTimeSkippingRequest, UnlockTimeSkippingRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

from api.checkouts import Checkouts
from api.limits import Limits
from api.orders import Orders
from api.waiting import Stopping
from checkout.orders import Order
from db import order_queries
from db.writing import WriteWatch
from runtime.connection import data_converter
from tests.campaigns.schedules.provider import LedgerProvider
from tests.support.lab import Lab
from tests.support.rig import settings_for
from worker.activities.settlements import SettlementActivities
from worker.app import Dependencies, create_worker
from worker.starting import Starter

SESSION_WAIT = 0.6  # seconds, real: how long a click waits for its session
PAYMENT_TIMEOUT = 900.0  # seconds, skipped
_STALLED = 0.8  # seconds, real: a clock that has not skipped by then is held by nobody any more
_RELEASES = 6
# The database's clock is real, the orders' is skipped far ahead of it: no order is too young for the sweep.
_NO_GRACE = -1e9
_FAR_AHEAD = timedelta(days=365)
_EMPTY = (
    "SET LOCAL session_replication_role = replica",  # else nothing is ever deleted
    "DELETE FROM shop.order_events",
    "DELETE FROM shop.reservations",
    "DELETE FROM shop.stock_movements WHERE cause <> 'seed'",
    "DELETE FROM shop.order_lines",
    "DELETE FROM shop.refund_lines",
    "DELETE FROM shop.refunds",
    "DELETE FROM shop.disputes",
    "DELETE FROM shop.payments",
    "DELETE FROM shop.orders",
    "UPDATE shop.products p SET on_hand = m.delta FROM shop.stock_movements m"
    " WHERE m.sku = p.sku AND m.cause = 'seed' AND p.on_hand <> m.delta",
    "DELETE FROM shop.audit_due",
    "UPDATE shop.stock_sums s SET moved = m.delta, brought = m.delta FROM shop.stock_movements m"
    " WHERE m.sku = s.sku AND m.cause = 'seed'",
)


# What the banks take days for: nothing is too young to be looked at, or asked for, again.
_A_DAY_LATER = (
    "SET LOCAL session_replication_role = replica",  # this is time that goes by, and no change
    "UPDATE shop.payments SET look_at = look_at - interval '1 day'",
    "UPDATE shop.refunds SET changed_at = changed_at - interval '1 day'",
)


def _quiet_runtime() -> Runtime:
    """The SDK's core warns of each of the thousands of workflows that end in the middle of something."""
    quiet = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    return Runtime(telemetry=TelemetryConfig(logging=quiet))


async def _no_listing(_: Client) -> set[str]:
    """The test server cannot list. A listing that lags says the same: nothing; then each order is asked for by id."""
    return set()


class World:
    """`async with`: ready for schedules. `counts` is what happened over all of them."""

    def __init__(self, engine: AsyncEngine, database_url: str, provider: LedgerProvider) -> None:
        self.engine, self.provider = engine, provider
        self.counts: Counter[str] = Counter()
        self._settings = settings_for(database_url, 1, CHECKOUT_SESSION_WAIT=SESSION_WAIT)
        self._servers = AsyncExitStack()
        self.environment: WorkflowEnvironment
        self.checkouts: Checkouts
        self.service: Orders

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._servers.aclose()

    @property
    def client(self) -> Client:
        return self.environment.client

    async def _start(self) -> None:
        binary = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
        assert binary, "temporal-test-server is missing: install requirements/dev.lock (`make test` does)"
        environment = await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=binary, data_converter=data_converter(), runtime=_quiet_runtime()
        )
        self.environment = await self._servers.enter_async_context(environment)
        await Lab.register_search_attributes(self.client)
        dependencies = Dependencies(
            self.engine, self.provider, self.client, dispatch_duration=0.0, processing_timeout=PAYMENT_TIMEOUT
        )
        await self._servers.enter_async_context(create_worker(dependencies))
        limits, writing = Limits(self._settings, self.engine), WriteWatch(self.engine)
        self.checkouts = Checkouts(self.engine, self.client, self._settings, limits, Stopping(), writing)
        self.service = Orders(self.engine, self.client, self._settings, Stopping())

    async def lose_temporal(self) -> None:
        """The server and every history in it are gone; database, payment service and the time of day remain."""
        before = await self.now()
        await self._replace_server()
        await self.environment.sleep(max((before - await self.now()).total_seconds(), 0.0))

    async def _replace_server(self) -> None:
        await self._servers.aclose()
        self._servers = AsyncExitStack()
        await self._start()

    async def reset(self) -> None:
        """A shop without orders, a payment service without sessions, a server on which nothing of the last runs."""
        self.provider.reset()
        # Before the clock is so far ahead of the database's that no sweep reaches the orders.
        if await self.now() - datetime.now(UTC) > _FAR_AHEAD:
            await self._replace_server()
        await self._write(_EMPTY)

    async def _write(self, statements: Sequence[str]) -> None:
        async with self.engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    async def query(self, statement: str) -> Sequence[Any]:
        async with self.engine.connect() as connection:
            return (await connection.execute(text(statement))).all()

    async def skip(self, seconds: float) -> None:
        """Let the clock jump. The test server forgets to release it where a child was started with ABANDON or an
        activity's workflow was terminated: then it is released here, or at last costs the server its life."""
        sleep = asyncio.ensure_future(self.environment.sleep(seconds))
        try:
            for _ in range(_RELEASES):
                done, _pending = await asyncio.wait([sleep], timeout=_STALLED)
                if done:
                    break
                self.counts["clock released"] += 1
                with contextlib.suppress(RPCError):
                    await self.client.test_service.unlock_time_skipping(UnlockTimeSkippingRequest())
            if sleep.done() and sleep.exception() is None:
                await self._keep_clock()
                return
        finally:
            sleep.cancel()
        self.counts["clock stood still"] += 1
        await self.lose_temporal()

    async def _keep_clock(self) -> None:
        """A clock released once too often runs free, and every deadline would be over as soon as it is set."""
        before = await self.now()
        await asyncio.sleep(0)
        if await self.now() - before > timedelta(seconds=2):
            self.counts["clock ran free"] += 1
            await self.client.test_service.lock_time_skipping(LockTimeSkippingRequest())

    @staticmethod
    async def breathe(seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def now(self) -> Any:
        return await self.environment.get_current_time()

    async def orders(self) -> list[Order]:
        async with self.engine.connect() as connection:
            ids = await connection.execute(text("SELECT id FROM shop.orders ORDER BY created_at, id"))
            return [await order_queries.get_order(connection, str(row[0])) for row in ids.all()]

    async def order_of(self, checkout_key: str) -> Order | None:
        async with self.engine.connect() as connection:
            return await order_queries.find_by_key(connection, checkout_key)

    async def sweep(self) -> None:
        await self._write(_A_DAY_LATER)
        activities = SettlementActivities(
            self.engine, self.client, Starter(self.client).settlement, grace=_NO_GRACE, listing=_no_listing
        )
        result = await ActivityEnvironment().run(activities.sweep_orders)
        self.counts["orphan handed to a settlement"] += result.settlements_started
        self.counts["payment looked at"] += result.payments_looked_at

    async def is_running(self, workflow_id: str) -> bool:
        status = None
        with self.forgotten():
            status = (await self.client.get_workflow_handle(workflow_id).describe()).status
        return status is WorkflowExecutionStatus.RUNNING

    @staticmethod
    def forgotten() -> contextlib.AbstractContextManager[None]:
        return _Forgotten()


class _Forgotten(contextlib.AbstractContextManager[None]):
    """Ignores that a workflow is not (or no longer) there."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND
