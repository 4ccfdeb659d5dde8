"""What the payment service does by itself: it becomes ready, sends events, and lets happen what is due."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from payment_mock.database import SQL, UNREACHABLE, brief, migrate
from payment_mock.domain import errors, payments
from payment_mock.service import Service

log = logging.getLogger(__name__)

_RETRY_FIRST, _RETRY_CAP = 0.1, 2.0


async def work(service: Service, on_death: Callable[[], None]) -> None:
    """Become ready, then work. Meanwhile the port answers: `/livez` 200, the rest 503 until the database is there."""
    try:
        await _prepare(service)
        log.info("Payment service ready on %s", service.settings.public_url)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(service.outbox.run())
            tasks.create_task(_keep_house(service))
    except Exception:  # of any kind: it is told, raised again and not survived, for without this work nothing is sent
        log.exception("The payment service's background work died; leaving, so that the supervisor restarts it")
        on_death()
        raise


async def _prepare(service: Service) -> None:
    """What a start needs of PostgreSQL; while that is away, say so and try again, for ever."""
    delay = _RETRY_FIRST
    while not service.is_ready:
        try:
            async with service.database.single() as connection:
                await migrate(connection)
            await service.faults.load()
            await service.database.run(SQL["reclaim"])
            service.is_ready = True
        except UNREACHABLE as error:
            log.warning("PostgreSQL is not reachable yet (%s); next try in %.1f s", brief(error), delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _RETRY_CAP)


async def _keep_house(service: Service) -> None:
    """Sessions expire when their time is over, payments, refunds and disputes become what they come to, old idempotency
    keys are forgotten. Each by a guarded statement of its own: a crash in between leaves the rest for the next look,
    and what has happened changes nothing the second time, or in a second process."""
    run = service.database.run
    while True:
        try:
            for row in await run(SQL["over"]):
                with suppress(payments.NotOpen):
                    await service.change(row["id"], payments.expire)
            for row in await run(SQL["due"]):
                with suppress(errors.StripeError):  # there is no such thing, or it cannot be disputed
                    await service.become(row["subject"], row["status"])
                await run(SQL["happened"], id=row["id"])
            await run(SQL["forget"])
        except UNREACHABLE as error:
            log.warning("Housekeeping cannot reach PostgreSQL: %s", brief(error))
        await asyncio.sleep(service.settings.poll_interval)
