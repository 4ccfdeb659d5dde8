"""What is done with an order, whoever asks: JSON routes, pages and the console. Every action is safe to repeat."""

import logging
import secrets
import time
from datetime import datetime, timedelta

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from api.hints import SessionEvent, deliver, signal, start_settlement
from api.missed_event import last_event
from api.order_views import RefundAnswer, operator_order
from api.problems import Problem, invalid, unavailable
from api.refund_requests import RefundIn, refund_wish
from api.waiting import Stopping
from checkout import errors
from checkout.contracts import RefundOrderInput, SettlementInput, StartSettlementInput
from checkout.ids import WHOLE_REFUND
from checkout.orders import Order, OrderStatus, Reason
from checkout.payments import Refund
from db import insights, order_pages, order_queries, refunds
from runtime.failpoints import Step, around
from runtime.settings import Settings
from worker.looked_after import describe, status_name
from worker.starting import Starter

logger = logging.getLogger("api")

CANCEL_WAIT = 5.0  # seconds for the settlement to show
RETURN_WAIT = 1.5  # seconds that somebody who comes back waits for the truth; the page is live after that
REFUND_WAIT = timedelta(seconds=10)
_TRIES = 5  # to be the one whose wish a refund's run is
_FIRST_PAUSE, _PAUSE_GROWTH, _LONGEST_PAUSE = 0.02, 1.6, 0.5  # seconds between looks
_REFUSALS = {
    error.__name__: error
    for error in (errors.KeyReused, errors.NotRefundable, errors.RefundExceedsPayment, errors.RefundLinesExceedOrder)
}


class OrderSummary(BaseModel):
    order_id: str = Field(validation_alias="id")
    checkout_key: str
    status: OrderStatus
    reason: Reason | None
    amount_total: int
    currency: str
    created_at: datetime
    updated_at: datetime


class OrderPage(BaseModel):
    """`next` is the cursor to pass as `after` for older orders, or null at the end."""

    orders: list[OrderSummary]
    next: str | None


class Orders:
    """One for the process. All raise `OrderNotFound` for an id that is none of ours."""

    def __init__(self, engine: AsyncEngine, client: Client, settings: Settings, stopping: Stopping) -> None:
        self._engine, self._client, self._settings, self._stopping = engine, client, settings, stopping
        self._start_refund = around(Step.START_REFUND)(Starter(client).refund)

    async def find(self, order_id: str) -> Order:
        async with self._engine.connect() as connection:
            return await order_queries.get_order(connection, order_id)

    async def find_by_session(self, session_id: str) -> Order | None:
        async with self._engine.connect() as connection:
            return await order_queries.find_by_session(connection, session_id)

    async def inside(self, order_id: str) -> tuple[str | None, dict[str, str]]:
        """What only an operator sees: the customer's email, and the state of the reservation by SKU."""
        async with self._engine.connect() as connection:
            return await insights.order_inside(connection, order_id)

    async def detail(self, order_id: str) -> order_pages.OrderDetail:
        """The order's row with its lines, money and timeline, for `api.order_views`."""
        async with self._engine.connect() as connection:
            return await order_pages.order_detail(connection, order_id)

    async def checkout_status(self, checkout_key: str) -> str:
        """What Temporal says of the order's checkout, for people."""
        try:
            found = await describe(self._client, checkout_key, timedelta(seconds=1))
        except (RPCError, RuntimeError):
            return "Temporal does not answer"
        return status_name(found) if found is not None else "unknown to Temporal"

    async def page(
        self, *, status: OrderStatus | None = None, search: str | None = None, after: str | None = None, limit: int
    ) -> OrderPage:
        """Orders, newest first. `after` is the `next` of the page before; raises a 422 `Problem` for any other."""
        async with self._engine.connect() as connection:
            rows = await order_pages.order_page(connection, status=status, search=search, after=after, limit=limit + 1)
            if after and not rows and await order_queries.find_by_id(connection, after) is None:
                raise invalid(("after", "not a cursor of ours"))
        page = [OrderSummary.model_validate(row, from_attributes=True) for row in rows[:limit]]
        return OrderPage(orders=page, next=page[-1].order_id if len(rows) > limit else None)

    async def cancel(self, order_id: str) -> Order:
        """The customer gives the order up: the session is closed at the provider first; money that came before wins.
        Raises a 503 `Problem` while the provider has not confirmed, a 409 one when the order has ended otherwise."""
        order = await self.find(order_id)
        if order.status.is_open:
            await self.ask_to_cancel(order)
            order = await self._once_ended(order, CANCEL_WAIT)
        if order.status is OrderStatus.PAYMENT_PROCESSING:
            raise Problem(
                409,
                "payment-under-way",
                "The order can no longer be cancelled",
                "You have ordered the payment, and your bank is making it. Should it fail, the order ends by itself.",
            )
        if order.status.is_live:
            raise Problem(
                503,
                "cancel-pending",
                "The order is being cancelled",
                "The payment service has not confirmed yet; look at the order again.",
                headers={"Retry-After": "2"},
            )
        if order.status is not OrderStatus.CANCELLED:
            raise Problem(409, "not-cancellable", "The order can no longer be cancelled", f"It is {order.status}.")
        return order

    @around(Step.ASK_TO_CANCEL)
    async def ask_to_cancel(self, order: Order) -> None:
        if await signal(self._client, order.checkout_key, None):
            return
        because = "Cancelled by the customer without a running checkout"
        await start_settlement(self._client, StartSettlementInput(SettlementInput.of(order), None, because))

    async def refund(self, order_id: str, asked: RefundIn, key: str | None) -> RefundAnswer:
        """Give money of a fulfilled or dispatched order back, once for a key. Returns once the provider has taken it:
        it may still be on its way. Raises `NotRefundable` where there is none to give back (so much of), `KeyReused`
        for a key of another refund, a 502 `Problem` when the provider refuses."""
        wanted = refund_wish(order_id, asked, key)
        order = await self.find(order_id)
        made = None
        if order.status is not OrderStatus.REFUNDED or wanted.key != WHOLE_REFUND:
            made = await self._refund_once(wanted)
        await self._check_wish(wanted)  # who joined one that runs has not been compared with it
        seen = operator_order(await self.detail(order_id))
        found = next((refund for refund in seen.refunds if made is not None and refund.id == made.id), None)
        return RefundAnswer(**dict(seen), refund=found)

    async def _refund_once(self, wanted: RefundOrderInput) -> Refund:
        for _ in range(_TRIES):
            try:
                return await self._refund(wanted)
            except errors.KeyReused:
                await self._check_wish(wanted)  # it was said of another wish under this key, whose run this one joined
        raise unavailable("Others ask for a refund under the same key; asking for it again is safe.")

    async def _check_wish(self, wanted: RefundOrderInput) -> None:
        async with self._engine.connect() as connection:
            await refunds.check_wish(connection, wanted)

    async def _refund(self, wanted: RefundOrderInput) -> Refund:
        handle = await self._start_refund(wanted)
        try:
            made = await self._stopping.unless(handle.result(rpc_timeout=REFUND_WAIT))
        except WorkflowFailureError as failure:
            cause = failure.cause
            if isinstance(cause, ApplicationError) and cause.type in _REFUSALS:
                raise _REFUSALS[cause.type](cause.message.removeprefix(f"{cause.type}: ")) from None
            raise Problem(502, "refund-failed", "The payment service did not refund", str(cause)) from None
        if made is None:
            raise unavailable("The refund is under way; asking for it again is safe.")
        return made

    async def resend(self, order_id: str) -> SessionEvent | None:
        """Take the payment service's last event about the order again, as if its webhook came now. None: there is no
        such event. Raises a 502 `Problem` when the payment service does not answer."""
        order = await self.find(order_id)
        event = await last_event(self._settings, order.session.session_id) if order.session else None
        if event is not None:
            await deliver(event, self._client, self._engine)
            about = {"checkout_key": order.checkout_key}
            logger.info("An operator had event %s of order %s taken again", event.event_id, order_id, extra=about)
        return event

    async def settle(self, order_id: str) -> None:
        """Have the payment service asked now, and its answer followed, by the workflow of the order that runs or by a
        new settlement: right for every order."""
        order = await self.find(order_id)
        event_id = f"operator:{secrets.token_hex(8)}"
        # The checkout of an order that is kept is at its end, even if it has not ended: it asks nobody any more.
        session = None if order.status.is_kept else order.session
        if session is not None and await signal(self._client, order.checkout_key, event_id, session.session_id):
            return
        because = "An operator asked to settle the order"
        await start_settlement(self._client, StartSettlementInput(SettlementInput.of(order), event_id, because))

    async def look_again(self, order: Order, come_from: str) -> Order:
        """A customer comes back from the payment page: have the payment service asked now, in case its event is late,
        and wait a little. `come_from` names the way back, which signals once, however often its address is opened."""
        if not order.status.is_live or order.session is None:
            return order
        session_id = order.session.session_id
        noted_as = f"returned:{come_from}:{session_id}"
        event = SessionEvent(noted_as, "checkout.session.returned", session_id, order.checkout_key)
        try:
            await deliver(event, self._client, self._engine)
        except RPCError as error:
            about = {"checkout_key": order.checkout_key}
            logger.warning("Order %s: cannot be looked at now: %s", order.order_id, error.status, extra=about)
        return await self._once_ended(order, RETURN_WAIT)

    async def _once_ended(self, order: Order, seconds: float) -> Order:
        """Wait until the order has ended, the seconds are over, or the process is told to stop; return it as it is."""
        deadline = time.monotonic() + seconds
        pause = _FIRST_PAUSE
        while order.status.is_open and time.monotonic() < deadline and not self._stopping.is_told:
            await self._stopping.sleep(pause)
            pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE)
            order = await self.find(order.order_id)
        return order
