"""What banks make of money that was paid, or is on its way: debits, refunds, disputes."""

from checkout.payments import CLOSED_DISPUTES, ProviderRefund, RefundState
from checkout.sessions import ProviderSession, SessionStatus
from tests.campaigns.schedules.steps import Step
from tests.campaigns.schedules.surroundings import Surroundings

_OPENED = ("needs_response", "needs_response", "warning_needs_response", "under_review")


class Banks(Surroundings):
    async def do_debit_succeeds(self, step: Step) -> bool:
        session = await self._debit(step)
        if session is None:
            return False
        self.provider.force_pay(session.session_id)
        # The order's time may be up at this very moment: then the bank's word is all that tells of the money.
        key = self.customers[step.who].key
        self._announce(session.session_id, "async_payment_succeeded", key, only_witness=True)
        return True

    async def do_debit_fails(self, step: Step) -> bool:
        session = await self._debit(step)
        if session is None:
            return False
        self.provider.debit_fails(session.session_id)
        self._announce(session.session_id, "async_payment_failed", self.customers[step.who].key)
        return True

    async def _debit(self, step: Step) -> ProviderSession | None:
        """The customer's, while it is under way."""
        session_id = await self._session(step, SessionStatus.COMPLETE)
        session = self.provider.sessions[session_id] if session_id else None
        return None if session is None or session.paid or session.has_failed else session

    async def do_slow_refunds(self, _: Step) -> None:
        """From now on a refund is pending when it has just been made."""
        self.provider.refunds_are = RefundState.PENDING

    async def do_refund_succeeds(self, step: Step) -> bool:
        intent, refund = await self._refund(step, RefundState.PENDING)
        if refund is None:
            return False
        self.provider.refund_becomes(refund.provider_refund_id, RefundState.SUCCEEDED)
        self._announce_money("refund.updated", intent, id=refund.provider_refund_id, status="succeeded")
        return True

    async def do_refund_fails(self, step: Step) -> bool:
        """Days later; of a payment once, as the next attempt of the same wish would have to wait."""
        intent, refund = await self._refund(step, RefundState.PENDING, RefundState.SUCCEEDED)
        if refund is None or intent in self.provider.failed:
            return False
        self.provider.failed.add(intent)
        self.provider.refund_becomes(refund.provider_refund_id, RefundState.FAILED, failure_reason="unknown")
        # Nobody looks any more at what has succeeded.
        is_over = refund.state is RefundState.SUCCEEDED
        told = {"id": refund.provider_refund_id, "status": "failed"}
        self._announce_money("refund.failed", intent, only_witness=is_over, **told)
        return True

    async def _refund(self, step: Step, *states: RefundState) -> tuple[str, ProviderRefund | None]:
        """One of the customer's refunds."""
        intent = str(await self._payment(step))
        refunds = [one for one in self.provider.given_back.get(intent, []) if one.state in states]
        return intent, refunds[step.how % len(refunds)] if refunds else None

    async def do_dispute(self, step: Step) -> bool:
        intent = await self._payment(step)
        if intent is None or intent in self.provider.disputes or self.provider.left(intent) == 0:
            return False
        dispute = self.provider.open_dispute(intent, _OPENED[step.how])
        told = {"id": dispute.dispute_id, "status": dispute.state}
        self._announce_money("charge.dispute.created", intent, only_witness=True, **told)
        return True

    async def do_win(self, step: Step) -> bool:
        return await self._close_dispute(step, "won")

    async def do_lose_dispute(self, step: Step) -> bool:
        return await self._close_dispute(step, "lost")

    async def _close_dispute(self, step: Step, state: str) -> bool:
        intent = str(await self._payment(step))
        for dispute in self.provider.disputes.get(intent, {}).values():
            if dispute.state in CLOSED_DISPUTES:
                continue
            closed = "warning_closed" if dispute.state.startswith("warning_") else state
            self.provider.goes_on(intent, dispute, closed)
            told = {"id": dispute.dispute_id, "status": closed}
            self._announce_money("charge.dispute.closed", intent, **told)
            return True
        return False
