"""Ask as every client should: again, with the same key, for as long as the answer is "not yet" or "not now"; and how
patient Temporal was."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
from temporalio.client import WorkflowHistory

NOT_YET = frozenset({202, 503})
_PAUSE = 0.2  # seconds


async def answered(ask: Callable[[], Awaitable[httpx.Response]], within: float = 30.0) -> httpx.Response:
    """The first answer that is neither 202 nor 503. A machine that stalls for some seconds makes these; to wait for
    the end of a stall is no part of what most tests prove. Raises `AssertionError` after `within` seconds."""
    answer = await ask()
    try:
        async with asyncio.timeout(within):
            while answer.status_code in NOT_YET:
                await asyncio.sleep(_PAUSE)
                answer = await ask()
    except TimeoutError:
        raise AssertionError(f"still {answer.status_code} after {within} s: {answer.text}") from None
    return answer


def longest_lost_task(history: WorkflowHistory) -> float:
    """For how many seconds Temporal waited, at most, for whoever had or was to have a workflow task; 0.0 if none was
    lost. By the server's own clock: how long a busy machine takes for everything else does not count."""
    at = {event.event_id: event.event_time.ToDatetime() for event in history.events}
    waited = [0.0]
    for event in history.events:
        if event.HasField("workflow_task_timed_out_event_attributes"):
            lost = event.workflow_task_timed_out_event_attributes
            since = at[lost.started_event_id or lost.scheduled_event_id]
            waited.append((at[event.event_id] - since).total_seconds())
    return max(waited)
