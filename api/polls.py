"""Wait for a checkout's session: its workflow is queried until it says."""

import asyncio
import contextlib
import time
from datetime import timedelta

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from api.waiting import Stopping, Usual
from checkout.contracts import PaymentSessionView, SessionProgress
from db.writing import WriteWatch
from worker.keepers import describe
from worker.starting import CheckoutHandle
from worker.workflows.checkout import CheckoutWorkflow

# A query without a worker hangs until its deadline: ask briefly and often.
QUERY_TIMEOUT = timedelta(seconds=2)
FIRST_PAUSE, PAUSE_GROWTH, LONGEST_PAUSE = 0.01, 1.6, 0.25  # seconds between polls
_UNANSWERED = {
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.FAILED_PRECONDITION,  # no worker has been seen for a while
    RPCStatusCode.NOT_FOUND,  # forgotten by Temporal: the order will tell
}


class SessionPolls:
    """`session_wait`: seconds that anybody waits."""

    def __init__(self, client: Client, session_wait: float, stopping: Stopping, writing: WriteWatch) -> None:
        self._client, self._session_wait, self._stopping, self._writing = client, session_wait, stopping, writing
        self._polls: dict[str, asyncio.Future[PaymentSessionView | None]] = {}
        self._usual = Usual()

    async def wait(self, handle: CheckoutHandle) -> PaymentSessionView | None:
        """The checkout's session, or that there will be none; None when the wait is over, or the process told to stop,
        or the checkout has failed before it had an order. Who waits for the same key waits for the same poll: of two
        queries that meet a workflow's first task, Temporal answers the second one a second later."""
        poll = self._polls.get(handle.id)
        if poll is None:
            poll = self._polls[handle.id] = asyncio.ensure_future(self._query_until_ready(handle))
            poll.add_done_callback(lambda _: self._polls.pop(handle.id, None))
        return await self._stopping.unless(asyncio.shield(poll))

    async def _query_until_ready(self, handle: CheckoutHandle) -> PaymentSessionView | None:
        began = time.monotonic()
        deadline = began + self._session_wait
        # A query that is there before the workflow's first task comes to the worker with it, which must end the task to
        # say that there is nothing yet: one more task, one more query. One that comes while it works waits for its end.
        await self._stopping.sleep(min(self._usual.seconds / 2, LONGEST_PAUSE, self._session_wait))
        pause = FIRST_PAUSE
        while (remaining := deadline - time.monotonic()) > 0 and not (self._stopping.is_told or self._writing.refusal):
            view = await _query(handle, min(QUERY_TIMEOUT, timedelta(seconds=remaining)))
            if view is not None and view.progress is not SessionProgress.OPENING:
                self._usual.took(time.monotonic() - began)
                return view
            if view is not None and view.order is None and await self._has_failed(handle):
                return None
            await self._stopping.sleep(min(pause, max(deadline - time.monotonic(), 0)))
            pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE)
        return None

    async def _has_failed(self, handle: CheckoutHandle) -> bool:
        with contextlib.suppress(RPCError):
            found = await describe(self._client, handle.id, QUERY_TIMEOUT)
            return found is not None and found.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED
        return False


async def _query(handle: CheckoutHandle, timeout: timedelta) -> PaymentSessionView | None:
    try:
        return await handle.query(CheckoutWorkflow.payment_session, rpc_timeout=timeout)
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
        return None
    except ValueError as error:
        # Rejected, in a state that the SDK has no name for (paused, on a newer server).
        if "WorkflowExecutionStatus" not in str(error):
            raise
    except RPCError as error:
        if error.status not in _UNANSWERED:
            raise
    return None
