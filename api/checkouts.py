"""Start a checkout once and wait for its payment session. PostgreSQL is the authority for keys: an order under the key
is the answer, however old. Temporal's workflow id is the lock: of many requests with a new key, one starts the workflow
and the others join it."""

import asyncio
import contextlib
import logging
import secrets
import time
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import Client, WorkflowFailureError, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.catalogue import CartCheck
from api.limits import Limits
from api.problems import Problem
from api.waiting import Stopping
from checkout.contracts import CheckoutInput, PaymentSessionView, SessionProgress
from checkout.ids import new_order_id
from checkout.orders import CartLine, Order, OrderStatus, cart_fingerprint
from db import order_queries
from db.engine import autocommit
from db.writing import WriteWatch
from runtime.failpoints import Step, around
from runtime.settings import Settings
from worker.looked_after import describe, is_running
from worker.starting import FINGERPRINT, CheckoutHandle, Starter
from worker.workflows.checkout import CheckoutWorkflow

logger = logging.getLogger("api")

# A query without a worker hangs until its deadline: ask briefly and often.
QUERY_TIMEOUT = timedelta(seconds=2)
FIRST_PAUSE, PAUSE_GROWTH, LONGEST_PAUSE = 0.01, 1.6, 0.25  # seconds between polls
_UNANSWERED = {
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.FAILED_PRECONDITION,  # no worker has been seen for a while
    RPCStatusCode.NOT_FOUND,  # forgotten by Temporal: the order will tell
}


@dataclass(frozen=True)
class Outcome:
    """`order` is None while there is no session yet. `is_replay`: this request did not start the checkout."""

    order: Order | None
    is_replay: bool


class Checkouts:
    """One for the process."""

    def __init__(
        self,
        engine: AsyncEngine,
        client: Client,
        settings: Settings,
        limits: Limits,
        stopping: Stopping,
        writing: WriteWatch,
    ) -> None:
        self._reads, self._client, self._settings = autocommit(engine), client, settings
        self._limits, self._stopping, self._writing = limits, stopping, writing
        self._start_workflow = around(Step.START_CHECKOUT)(Starter(client).checkout)
        self._cart = CartCheck(engine)
        self._polls: dict[str, asyncio.Future[PaymentSessionView | None]] = {}
        self._usual = 0.0  # seconds that a session took of late

    @around(Step.BUY)
    async def buy(
        self, key: str, lines: list[CartLine], email: str | None, *, client: str | None = None, is_new_key: bool = False
    ) -> Outcome:
        """Start or join the checkout and wait for its session. Raises `Problem` for a cart that cannot be bought, and
        `WritesRefused` while nothing can be written: then none begins, and none that has begun is called under way.
        Limits of `client` apply only to keys that have no order yet; a repeat reserves nothing."""
        wish = CheckoutInput(
            checkout_key=key,
            lines=lines,
            fingerprint=cart_fingerprint(lines, email),
            payment_timeout=self._settings.payment_timeout,
            email=email,
            request_id=secrets.token_hex(8),
            order_id=new_order_id(),
            client=client,
        )
        known = None if is_new_key else await self._find(key)
        if known is not None:
            _same_cart(known.fingerprint, wish)
            if answered := _answered(known):
                return Outcome(answered, is_replay=True)
        handle = await self._begin(wish) if known is None else self._client.get_workflow_handle(key)
        view = await self._session(handle)
        if view is not None:
            _same_cart(view.fingerprint, wish)
            return Outcome(view.order, is_replay=view.request_id != wish.request_id)
        return Outcome(await self._without_session(handle, wish), is_replay=known is not None)

    async def look(self, checkout_key: str) -> Order | None:
        """What has become of the checkout, without waiting: None while it has no answer yet. Raises a 404 `Problem` for
        a key under which nothing was begun, or nothing came of it."""
        order = await self._find(checkout_key)
        if order is None:
            is_under_way = await is_running(self._client, checkout_key)
            order = await self._find(checkout_key)  # it may have been opened, and have ended, while Temporal was asked
            if order is None and not is_under_way:
                raise Problem(404, "checkout-not-found", "There is no such checkout")
        return _answered(order)

    async def _begin(self, wish: CheckoutInput) -> CheckoutHandle:
        """Start the key's checkout, or join the one that runs. Raises as `buy` does."""
        await self._cart.before(wish.lines)
        self._writing.check()
        async with self._limits.admitted(wish.client, wish.checkout_key):
            return await self._start(wish)

    async def _start(self, wish: CheckoutInput) -> CheckoutHandle:
        key = wish.checkout_key
        try:
            handle = await self._start_workflow(wish)
        except WorkflowAlreadyStartedError:
            # A run with this key has ended. If it left an order, that is the answer (`_without_session` reads it if the
            # query does not tell); if it ended before there was one, a second run may open it: the key is unique there.
            if await self._find(key) is not None:
                return self._client.get_workflow_handle(key)
            handle = await self._start_workflow(wish, again=True)
        logger.info("Checkout workflow started with UUID: %s", key, extra={"checkout_key": key, "workflow_id": key})
        return handle

    async def _session(self, handle: CheckoutHandle) -> PaymentSessionView | None:
        """Wait for the checkout's session, or for the word that there will be none. None when the wait is over, the
        process is told to stop, or the checkout has failed before it had an order. All who wait for a key share one
        poll: of two queries that meet a workflow's first task, Temporal answers the second one a second later."""
        poll = self._polls.get(handle.id)
        if poll is None:
            poll = self._polls[handle.id] = asyncio.ensure_future(self._query_until_ready(handle))
            poll.add_done_callback(lambda _: self._polls.pop(handle.id, None))
        return await self._stopping.unless(asyncio.shield(poll))

    async def _query_until_ready(self, handle: CheckoutHandle) -> PaymentSessionView | None:
        began, wait = time.monotonic(), self._settings.session_wait
        # A query that is there before the workflow's first task comes to the worker with it, which must end the task to
        # say that there is nothing yet: one more task, one more query. One that comes while it works waits for its end.
        await self._stopping.sleep(min(self._usual / 2, LONGEST_PAUSE, wait))
        pause = FIRST_PAUSE
        while (left := began + wait - time.monotonic()) > 0 and not (self._stopping.is_told or self._writing.refusal):
            view = await _query(handle, min(QUERY_TIMEOUT, timedelta(seconds=left)))
            if view is not None and view.progress is not SessionProgress.OPENING:
                took = time.monotonic() - began
                # The quickest counts at once, slower ones little by little.
                self._usual = min(took, self._usual + (took - self._usual) / 4)
                return view
            if view is not None and view.order is None and _has_failed(await self._described(handle)):
                return None
            await self._stopping.sleep(min(pause, max(began + wait - time.monotonic(), 0)))
            pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE)
        return None

    async def _without_session(self, handle: CheckoutHandle, wish: CheckoutInput) -> Order | None:
        """What the database has, if the checkout has told no session: perhaps it does not run (any more), and a
        settlement has gone on with the order. None: the checkout is under way. Raises as `buy` does."""
        order = await self._find(wish.checkout_key)
        if order is None:
            await self._check_begun(handle, wish)
        else:
            _same_cart(order.fingerprint, wish)
        answered = _answered(order)
        if answered is None:
            self._writing.check()
        return answered

    async def _check_begun(self, handle: CheckoutHandle, wish: CheckoutInput) -> None:
        """No order: compare the cart with the workflow's memo; if it has failed, raise its refusal as a `Problem`."""
        found = await self._described(handle)
        if found is not None and FINGERPRINT in found.memo.fields:
            [stored] = await self._client.data_converter.decode([found.memo.fields[FINGERPRINT]])
            _same_cart(str(stored), wish)
        if _has_failed(found):
            try:
                await handle.result(rpc_timeout=QUERY_TIMEOUT)
            except RPCError:
                return
            except WorkflowFailureError as failure:
                if refused := await self._cart.after(failure, wish):
                    raise refused from None

    async def _described(self, handle: CheckoutHandle) -> WorkflowExecutionInfo | None:
        """The workflow as Temporal describes it; None if it knows none, or does not answer."""
        with contextlib.suppress(RPCError):
            return await describe(self._client, handle.id, QUERY_TIMEOUT)
        return None

    async def _find(self, checkout_key: str) -> Order | None:
        async with self._reads.connect() as connection:
            return await order_queries.find_by_key(connection, checkout_key)


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


def _has_failed(workflow: WorkflowExecutionInfo | None) -> bool:
    return workflow is not None and workflow.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED


def _answered(order: Order | None) -> Order | None:
    """The order if it has an answer: a session, or the reason why there is none."""
    has_answer = order is not None and (order.session is not None or order.status is not OrderStatus.PENDING)
    return order if has_answer else None


def _same_cart(stored: str, wish: CheckoutInput) -> None:
    if stored != wish.fingerprint:
        raise Problem(
            422,
            "idempotency-key-reused",
            "This key belongs to another cart",
            "A key stands for one cart. Use a new key for another one; the first checkout is untouched.",
        )
