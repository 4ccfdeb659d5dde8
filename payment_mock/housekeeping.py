"""What happens by itself: sessions expire when their time is over, old idempotency keys are forgotten, and rules
that another process changed are noticed."""

import asyncio
import logging
import time

from payment_mock import provider
from payment_mock.database import UNREACHABLE, brief
from payment_mock.service import Service
from payment_mock.store import idempotency, sessions

log = logging.getLogger(__name__)

_PRUNE_EVERY = 3600.0


async def run(service: Service) -> None:
    """Look once per poll interval, for ever."""
    prune_at = 0.0
    while True:
        try:
            await service.faults.refresh()
            await expire_due(service)
            if time.monotonic() >= prune_at:
                async with service.database.single() as connection:
                    await idempotency.prune(connection)
                prune_at = time.monotonic() + _PRUNE_EVERY
        except UNREACHABLE as error:
            log.warning("Housekeeping cannot reach PostgreSQL: %s", brief(error))
        await asyncio.sleep(service.settings.poll_interval)


async def expire_due(service: Service) -> None:
    """Expire what is past its `expires_at`. Each session by its own guarded statement: a crash in between leaves the
    rest for the next look, and two processes cannot expire one twice."""
    async with service.database.single() as connection:
        for session in await sessions.due(connection):
            try:
                _, deliveries = await provider.expire(connection, session, service.settings.public_url)
            except provider.NotOpen:
                continue
            service.outbox.dispatch(deliveries)
