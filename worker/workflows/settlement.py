"""Settle what no running checkout looks after: a webhook for a closed or forgotten checkout, an orphaned order."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from checkout.contracts import (
        CheckoutResult,
        FindOrderInput,
        Order,
        OrderStatus,
        Reason,
        RefundInput,
        SessionState,
        SessionStatus,
        SettlementInput,
    )
    from checkout.errors import PaymentUnknown
    from worker import policies
    from worker.activities.orders import OrderActivities
    from worker.activities.payments import PaymentActivities
    from worker.shield import shielded
    from worker.steps import StepFailed, insist, run_step
    from worker.workflows.journey import OrderJourney

# Histories begun without it took the provider's "no such session" as the last word also about an order's own session,
# which it gives as well to whoever asks with the key of another account.
OWN_IS_KNOWN = "own-session-is-known"


@workflow.defn
class SettlementWorkflow(OrderJourney):
    @workflow.init
    def __init__(self, settlement: SettlementInput) -> None:
        super().__init__()
        self._settlement = settlement

    @workflow.run
    @shielded
    async def run(self, settlement: SettlementInput) -> CheckoutResult | None:
        """Take a live order to its end; give back what was paid for anything else; notice what was given back already.

        None: no session of ours.
        """
        while True:
            self._has_news = False
            result = await self._settle_subject(settlement)
            # An event that came after the look was taken like any other: nobody else will look for it.
            if not self._has_news:
                return result

    async def _settle_subject(self, settlement: SettlementInput) -> CheckoutResult | None:
        session = await self._look(settlement.session_id)
        order = await self._find(settlement.order_id or (session.order_id if session else None))
        if order is not None:
            self._see(order)
            if order.status is OrderStatus.PENDING:
                await self.open_payment_session()
        if session is not None and not self._is_own(session):
            await self._give_back(session)
            return None
        if order is None:
            return None
        if self.order.status.is_live:
            self.look_first()
            await self.await_payment()
            self.tell_outcome()
        elif not self.order.status.is_kept:
            if session is None and self._is_own_id(settlement.session_id) and workflow.patched(OWN_IS_KNOWN):
                session = await insist(
                    PaymentActivities.retrieve_session, self._session_id, policies.PROVIDER, "Look at the own session"
                )
            if session is not None:
                await self._give_back(session)
        elif workflow.patched("refunded-at-the-provider"):
            await self._notice_refund(session)
        return CheckoutResult(self.order.order_id, self.order.status, self.order.reason)

    def start_over(self) -> None:
        workflow.continue_as_new(self._settlement)

    async def _look(self, session_id: str | None) -> SessionState | None:
        if session_id is None:
            return None
        try:
            # Only "there is no such session" is an answer. A refusal (a wrong key, say) is none: money may lie there,
            # and the event that told of it has been taken.
            return await insist(
                PaymentActivities.retrieve_session,
                session_id,
                policies.PROVIDER,
                "Look at the payment session",
                unless=PaymentUnknown.__name__,
            )
        except StepFailed:
            workflow.logger.warning("The payment service does not know session %s", session_id)
            return None

    async def _find(self, order_id: str | None) -> Order | None:
        if order_id is None:
            return None
        return await run_step(OrderActivities.find_order, FindOrderInput(order_id), policies.DATABASE, "Find the order")

    def _is_own(self, session: SessionState) -> bool:
        """Whether the session is the one that our order recorded."""
        return self._is_own_id(session.session_id)

    def _is_own_id(self, session_id: str | None) -> bool:
        own = self._order.session if self._order else None
        return own is not None and own.session_id == session_id

    async def _give_back(self, session: SessionState) -> None:
        """Close a session nobody shall pay; return what was paid all the same, once."""
        if session.status is SessionStatus.OPEN:
            session = await insist(
                PaymentActivities.expire_session, session.session_id, policies.PROVIDER, "Close the payment session"
            )
        if session.paid:
            await self._refund(session, Reason.LATE_PAYMENT, is_own=self._is_own(session))

    async def _notice_refund(self, session: SessionState | None) -> None:
        """Whoever may use the provider's dashboard can give money back there: then the order ends as refunded."""
        session = session or await self._look(self._session_id)
        if session is None or session.payment_intent_id is None:
            return
        request = RefundInput(session.payment_intent_id, Reason.OPERATOR, self.order.order_id)
        try:
            refunded = await insist(
                PaymentActivities.notice_refund,
                request,
                policies.PROVIDER,
                "Look whether the money was given back",
                unless=PaymentUnknown.__name__,
            )
        except StepFailed:
            workflow.logger.warning("The payment service does not know payment %s", session.payment_intent_id)
            return
        if refunded is not None:
            self._see(refunded)
