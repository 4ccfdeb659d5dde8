"""The Temporal Schedule that runs the sweep."""

import asyncio
import logging

from temporalio.client import Client, ScheduleAlreadyRunningError, ScheduleUpdate
from temporalio.service import RPCError, RPCStatusCode

from checkout.ids import SWEEP_SCHEDULE_ID
from worker.starting import sweep_schedule

logger = logging.getLogger("worker")

_PAUSE = 2.0  # seconds between two tries to set it


async def has_sweep(client: Client) -> bool:
    """Whether the schedule is there."""
    try:
        await client.get_schedule_handle(SWEEP_SCHEDULE_ID).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def keep_sweeping(client: Client, interval: float) -> None:
    """Until cancelled: create the schedule, or give it the interval (seconds) that is set now; and again whenever it is
    gone. Temporal may lose all it knew, PostgreSQL does not."""
    schedule, is_set = sweep_schedule(interval), False
    while True:
        try:
            if not is_set or not await has_sweep(client):
                try:
                    await client.create_schedule(SWEEP_SCHEDULE_ID, schedule)
                except ScheduleAlreadyRunningError:
                    handle = client.get_schedule_handle(SWEEP_SCHEDULE_ID)
                    await handle.update(lambda _: ScheduleUpdate(schedule=schedule))
            is_set = True
        except Exception as error:  # of any kind: nobody would start this again
            logger.warning("The sweep's schedule cannot be set yet: %s", error)
        await asyncio.sleep(interval if is_set else _PAUSE)
