"""The Temporal Schedule that runs the sweep."""

import asyncio
import logging
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from checkout.ids import SWEEP_SCHEDULE_ID
from worker.starting import sweep_action

logger = logging.getLogger("worker")

_PAUSE = 2.0  # seconds between two tries to set it


def _schedule(interval: float) -> Schedule:
    return Schedule(
        action=sweep_action(),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=interval))]),
        # A sweep that is still running is doing the work already; missed ones are made up for by the next.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(seconds=60)),
    )


async def has_sweep(client: Client) -> bool:
    """Whether the schedule is there."""
    try:
        await client.get_schedule_handle(SWEEP_SCHEDULE_ID).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def ensure_sweep(client: Client, interval: float) -> None:
    """Create the schedule, or give it the interval (seconds) that is set now."""
    schedule = _schedule(interval)
    try:
        await client.create_schedule(SWEEP_SCHEDULE_ID, schedule)
    except ScheduleAlreadyRunningError:

        def update(_: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(schedule=schedule)

        await client.get_schedule_handle(SWEEP_SCHEDULE_ID).update(update)


async def keep_sweeping(client: Client, interval: float) -> None:
    """Until cancelled: set the schedule, and again whenever it is gone. Temporal may lose all it knew, PostgreSQL does
    not."""
    is_set = False
    while True:
        try:
            if not is_set or not await has_sweep(client):
                await ensure_sweep(client, interval)
            is_set = True
        except Exception as error:  # of any kind: nobody would start this again
            logger.warning("The sweep's schedule cannot be set yet: %s", error)
        await asyncio.sleep(interval if is_set else _PAUSE)
