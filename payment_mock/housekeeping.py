"""What happens by itself: sessions expire when their time is over, payments, refunds and disputes become what they come
to, old idempotency keys are forgotten, and rules that another process changed are noticed."""

import asyncio
import contextlib
import logging
import time

from sqlalchemy import text

from payment_mock.database import UNREACHABLE, brief
from payment_mock.domain.errors import StripeError
from payment_mock.provider import NotOpen
from payment_mock.service import Service
from payment_mock.store import idempotency

log = logging.getLogger(__name__)

_PRUNE_EVERY = 3600.0
_DUE = text(
    "SELECT id FROM payments.sessions WHERE status = 'open' AND expires_at <= now() ORDER BY expires_at LIMIT 100"
)


_LATER = text("SELECT id, subject, status FROM payments.later WHERE due_at <= now() ORDER BY due_at LIMIT 100")
_HAPPENED = text("DELETE FROM payments.later WHERE id = :id")


async def run(service: Service) -> None:
    """Look once per poll interval, for ever."""
    prune_at = 0.0
    while True:
        try:
            await service.faults.refresh()
            await _expire_due(service)
            await _let_happen(service)
            if time.monotonic() >= prune_at:
                async with service.database.single() as connection:
                    await idempotency.prune(connection)
                prune_at = time.monotonic() + _PRUNE_EVERY
        except UNREACHABLE as error:
            log.warning("Housekeeping cannot reach PostgreSQL: %s", brief(error))
        await asyncio.sleep(service.settings.poll_interval)


async def _expire_due(service: Service) -> None:
    """Each session by its own guarded statement: a crash in between leaves the rest for the next look, and two
    processes cannot expire one twice."""
    async with service.database.single() as connection:
        due = [row.id for row in await connection.execute(_DUE)]
    for session_id in due:
        with contextlib.suppress(NotOpen):
            await service.change(session_id, service.provider.expire)


async def _let_happen(service: Service) -> None:
    """Twice is once: what has happened changes nothing the second time."""
    async with service.database.single() as connection:
        due = (await connection.execute(_LATER)).all()
        for row in due:
            with contextlib.suppress(StripeError):  # there is no such thing, or it cannot be disputed
                await service.become(row.subject, row.status)
            await connection.execute(_HAPPENED, {"id": row.id})
