"""An order's way from payment session to its end: what a checkout and a settlement have in common.

The provider is the authority. A webhook, a deadline or a wish to cancel are only reasons to ask it; whatever its
answer, the order follows. Stock goes back only once the provider says the session can no longer be paid.
"""

import contextlib
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from checkout.contracts import (
        FulfilInput,
        Order,
        OrderStatus,
        Reason,
        RefundInput,
        ReleaseInput,
        SessionState,
        SessionStatus,
    )
    from runtime.connection import CHECKOUT_STATUS, ORDER_ID
    from worker import policies
    from worker.activities.orders import OrderActivities
    from worker.activities.payments import PaymentActivities
    from worker.steps import StepFailed, insist, run_step
    from worker.workflows.children import have_settled
    from worker.workflows.news import EVERY_EVENT_COUNTS, News


class OrderJourney(News):
    """Holds the order as last read from the database."""

    def __init__(self) -> None:
        super().__init__()
        self._order: Order | None = None
        self._shown: OrderStatus | None = None

    @property
    def was_given_up(self) -> bool:
        return self._order is not None and self._order.reason is Reason.OPERATOR

    @property
    def order(self) -> Order:
        assert self._order is not None, "no step comes before the order"
        return self._order

    def _see(self, order: Order) -> None:
        """Take note of the order as it now is, and show it in Temporal's UI."""
        self._order = order
        because = f" ({order.reason})" if order.reason else ""
        session = f"\n\nsession `{order.session.session_id}`" if order.session else ""
        workflow.set_current_details(f"order `{order.order_id}` **{order.status}**{because}{session}")
        # A pending order has its session in a moment, and is then shown once instead of twice; unless it has to wait.
        if order.status is not OrderStatus.PENDING:
            self._show()

    def _show(self) -> None:
        """Let the order be found by id and status. Each time costs an event and a write to the visibility store."""
        if self._shown is self.order.status:
            return
        updates = [CHECKOUT_STATUS.value_set(self.order.status.value)]
        if self._shown is None:
            updates.append(ORDER_ID.value_set(self.order.order_id))
        workflow.upsert_search_attributes(updates)
        self._shown = self.order.status

    async def open_payment_session(self) -> None:
        """Have the one session for the order; if the provider will not give it, return the stock."""
        try:
            self._see(
                await run_step(
                    PaymentActivities.create_payment_session,
                    self.order,
                    policies.OPEN_SESSION,
                    "Open the payment session",
                    before_waiting=self._show,
                )
            )
        except StepFailed as error:
            workflow.logger.warning("No payment session for order %s: %s", self.order.order_id, error)
            await self._release(OrderStatus.REJECTED, Reason.PAYMENT_UNAVAILABLE)

    def look_first(self) -> None:
        """Nobody listened for a while: ask the provider before waiting for it to speak."""
        self._has_news = True

    async def await_payment(self) -> None:
        """Wait for news, a wish to cancel or the deadline, and settle; again, until the order is decided."""
        while self.order.status.is_live:
            await self.hand_on_other_sessions()
            if self._is_run_long_enough:
                self.start_over()
            await self._wait()
            try:
                await self._settle()
            except StepFailed as error:
                workflow.logger.error("Order %s needs attention, its stock is kept: %s", self.order.order_id, error)
                await workflow.sleep(policies.REFUSED_PAUSE, summary="The payment service refuses to answer")
                self._has_news = True

    async def hand_on_other_sessions(self) -> None:
        """Have sessions settled that carry this key and are not the order's own: what was paid there goes back."""
        while others := self._other_sessions:
            session_id = min(others)
            self._handed_on.add(session_id)
            await have_settled(session_id, told_by=self.order.order_id)

    @property
    def _other_sessions(self) -> set[str]:
        own = {self.order.session.session_id} if self.order.session else set()
        return self._sessions_heard_of - self._handed_on - own

    def start_over(self) -> None:
        """Continue as new. The order and its session are in the database: the next run finds them and goes on."""
        raise NotImplementedError

    async def _wait(self) -> None:
        remaining = self.order.expires_at - workflow.now()
        if self._closing is None and remaining > timedelta(0):
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._has_news or self._closing is not None,
                    timeout=remaining,
                    timeout_summary="Payment deadline",
                )
        self._has_news = False
        if self._closing is None and workflow.now() >= self.order.expires_at:
            self._closing = Reason.TIMEOUT

    async def _settle(self) -> None:
        """Ask the provider, closing the session first if the order is to end, and follow its answer."""
        session_id = self._session_id
        if self._closing is None:
            session = await run_step(
                PaymentActivities.retrieve_session,
                session_id,
                policies.PROVIDER,
                "Look at the payment session",
            )
        else:
            session = await run_step(
                PaymentActivities.expire_session, session_id, policies.PROVIDER, "Close the payment session"
            )
        if session.paid:
            await self._accept(session)
        elif session.status is SessionStatus.EXPIRED:
            # Closed at the provider before our deadline: the customer left through its page.
            await self._release(OrderStatus.CANCELLED, self._closing or Reason.CUSTOMER)
        elif self._closing is not None and session.status is SessionStatus.COMPLETE:
            # Complete but unpaid cannot be paid by anyone any more; money that comes all the same is given back.
            await self._release(OrderStatus.CANCELLED, self._closing)

    async def _accept(self, session: SessionState) -> None:
        """Paid: fulfil, or give the money back when what was paid is not what was agreed, or there is no stock."""
        if not session.pays_for(self.order):
            await self._refund(session, Reason.PAYMENT_MISMATCH)
            return
        try:
            self._see(
                await run_step(
                    OrderActivities.fulfil_order,
                    FulfilInput(self.order.order_id, session.payment_intent_id),
                    policies.DATABASE,
                    "Fulfil the order",
                )
            )
        except StepFailed:
            await self._refund(session, Reason.CANNOT_FULFIL)
            return
        if self.order.status in (OrderStatus.CANCELLED, OrderStatus.REJECTED):
            await self._refund(session, Reason.LATE_PAYMENT)

    async def _release(self, status: OrderStatus, reason: Reason) -> None:
        self._see(
            await run_step(
                OrderActivities.release_order,
                ReleaseInput(self.order.order_id, status, reason),
                policies.DATABASE,
                "Return the stock",
            )
        )

    async def _refund(self, session: SessionState, reason: Reason, *, is_own: bool = True) -> None:
        """Give the money back, however long the provider refuses: it is owed. `is_own`: and end the order."""
        assert session.payment_intent_id is not None, "a paid session has a payment"
        order_id = self.order.order_id if is_own else None
        request = RefundInput(session.payment_intent_id, reason, order_id)
        refunded = await insist(PaymentActivities.refund_payment, request, policies.PROVIDER, "Give the money back")
        if refunded is not None:
            self._see(refunded)

    async def hear_out(self) -> None:
        """Before the end: act on every event that was taken, also on those that come meanwhile. Nobody else will."""
        while True:
            await self.hand_on_other_sessions()
            await self.look_at_late_news()
            if not (self._other_sessions and workflow.patched(EVERY_EVENT_COUNTS)):
                return

    async def look_at_late_news(self) -> None:
        """An event that came while the order was being closed was taken like any other: money that it tells of, which
        came after the provider had closed the session, goes back."""
        while self._has_news and self.order.session is not None and not self.order.status.is_kept:
            self._has_news = False
            session = await insist(
                PaymentActivities.retrieve_session, self._session_id, policies.PROVIDER, "Look at the late news"
            )
            if session.paid and self.order.status is not OrderStatus.REFUNDED:
                await self._refund(session, Reason.LATE_PAYMENT)

    def tell_outcome(self) -> None:
        """The guide's log lines."""
        if self.order.status.is_kept:
            workflow.logger.info("Checkout with UUID %s succeeded!", self.order.checkout_key)
        else:
            workflow.logger.warning("Checkout with UUID %s failed or timed out...", self.order.checkout_key)

    @property
    def _session_id(self) -> str:
        assert self.order.session is not None, "awaiting payment means there is a session, says the table"
        return self.order.session.session_id
