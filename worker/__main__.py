"""`python -m worker`: the one place where the worker's parts are put together."""

import gc

gc.disable()  # What is imported here is no garbage, and to look for some is a third of the start.

import asyncio
import contextlib
import logging
import os
import signal
import sys

import uvloop
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.runtime import Runtime

from checkout.errors import SettingsError
from checkout.ids import TASK_QUEUE
from db.engine import check_sessions, create_engine
from db.writing import WriteWatch
from runtime import failpoints
from runtime.background import beside
from runtime.connection import connect, connection_settings, prometheus_runtime
from runtime.logs import configure_logging
from runtime.settings import Settings, load_settings
from worker import warehouse
from worker.app import Dependencies, create_worker
from worker.health import HealthServer, PollerWatch
from worker.payments.stripe_adapter import StripeProvider
from worker.starting import keep_sweeping

gc.freeze()
gc.enable()

logger = logging.getLogger("worker")

_RETRY_PAUSE = 0.3


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    # Temporal's own metrics (task latencies, failures, slots), for Prometheus; off unless asked for.
    runtime = prometheus_runtime(settings.worker_metrics) if settings.worker_metrics else None
    engine = create_engine(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool_size,
        application_name="checkout-worker",
        # A connection that died is found by the step that uses it, and every step is tried again.
        pre_ping=False,
    )
    async with contextlib.AsyncExitStack() as parts:
        health = await parts.enter_async_context(HealthServer(settings.worker_port, settings.worker_host))
        parts.push_async_callback(engine.dispose)
        # Open the first connection before the first customer pays for it; activities retry if it cannot be had.
        with contextlib.suppress(Exception):
            async with engine.connect():
                pass
        writing = WriteWatch(engine)
        await parts.enter_async_context(beside(writing.watch()))
        client = await _connected(settings, stop, runtime)
        if client is None:
            return
        dependencies = Dependencies(
            engine,
            StripeProvider(settings),
            client,
            settings.dispatch_duration,
            settings.sweep_grace,
            settings.processing_timeout,
        )
        version = settings.build_id and WorkerDeploymentVersion(settings.deployment_name, settings.build_id)
        await parts.enter_async_context(create_worker(dependencies, version=version or None))
        pollers = PollerWatch(client)
        health.trouble = lambda: writing.trouble or pollers.trouble
        logger.info("Worker polls task queue %r", TASK_QUEUE)
        sweeping = keep_sweeping(client, settings.sweep_interval)
        async with beside(pollers.watch(), sweeping, warehouse.keep_dispatching(engine)):
            await stop.wait()
            logger.info("Worker stops: it takes no more work, and ends what it is at")
            health.trouble = lambda: "The worker is stopping"
    logger.info("Worker stopped")


async def _connected(settings: Settings, stop: asyncio.Event, runtime: Runtime | None) -> Client | None:
    """Tried until Temporal is there; None when the process is to stop before that."""
    while not stop.is_set():
        try:
            return await connect(settings, runtime=runtime)
        except RuntimeError as error:
            logger.warning("Temporal is not there yet, trying again: %s", error)
            await asyncio.sleep(_RETRY_PAUSE)
    return None


def main() -> int:
    try:
        settings = load_settings()
        connection_settings()
        asyncio.run(check_sessions(settings.database_url.get_secret_value()))
        failpoints.enable(settings.failpoints)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    configure_logging(settings.log_format)
    uvloop.run(_run(settings))
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # The SDK's runtime may abort while the interpreter is torn down (sdk-python issue 300): leave before that.
    os._exit(code)
