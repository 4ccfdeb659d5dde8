"""A simulated warehouse: whatever is due leaves it, all of it in one statement a tick. Every worker runs one; which of
them dispatches an order, the database decides."""

import asyncio
import logging
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from db import orders
from db.engine import autocommit, transaction
from runtime.failpoints import Step

logger = logging.getLogger("worker")

TICK = 1.0  # seconds
BATCH = 1_000  # how many leave in one transaction


async def dispatch(engine: AsyncEngine, *, overdue: timedelta = timedelta(0), batch: int = BATCH) -> int:
    """Dispatch every order that is due (or should have left `overdue` ago). Returns how many there were."""
    async with autocommit(engine).connect() as connection:
        if not await orders.is_any_due(connection, overdue):
            return 0
    total, left = 0, batch
    while left == batch:
        async with transaction(engine, Step.DISPATCH_ORDER) as connection:
            left = await orders.dispatch_due(connection, limit=batch, overdue=overdue)
        total += left
    return total


async def keep_dispatching(engine: AsyncEngine, tick: float = TICK) -> None:
    """Until cancelled: dispatch what is due, every `tick` seconds. An error is logged and the next tick tries again."""
    is_failing = False
    while True:
        try:
            await dispatch(engine)
            is_failing = False
        except Exception as error:  # of any kind: nobody would start this again
            if not is_failing:  # told once, not with every tick of an outage
                logger.warning("Orders cannot be dispatched at the moment: %s", error)
            is_failing = True
        await asyncio.sleep(tick)
