"""The payment service in memory, with a ledger and with faults that fire a few times and say that they did."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from checkout.errors import PaymentStuck, PaymentUnreachable
from checkout.payments import CLOSED_DISPUTES, ProviderDispute, ProviderRefund, RefundState
from checkout.sessions import PaymentSession, ProviderSession, SessionRequest, SessionStatus
from tests.support.provider import FakeProvider

OPERATIONS = (
    ("create", "retrieve", "expire", "refund"),
    ("create", "look at payment", "expire", "refund"),
)


@dataclass
class LedgerProvider(FakeProvider):
    """`charges` and `refunds` by payment: amounts in minor units. `faults` counts what really fired."""

    charges: dict[str, list[int]] = field(default_factory=dict)
    payer: dict[str, str] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    sticky: set[tuple[str, int]] = field(default_factory=set)
    sticky_next: str | None = None
    failed: set[str] = field(default_factory=set)
    """Payments of which a refund has failed."""

    def reset(self) -> None:
        """A new schedule: nothing of the last one is left."""
        for kept in (self.sessions, self.by_order, self.by_key, self.fail, self.lose_reply):
            kept.clear()
        for kept in (self.charges, self.given_back, self.disputes, self.payer):
            kept.clear()
        self.calls.clear()
        self.sticky.clear()
        self.failed.clear()
        self.heal()

    def heal(self) -> None:
        """No more faults; what is stuck stays stuck, as Stripe's stored answers do."""
        self.fail.clear()
        self.lose_reply.clear()
        self.on_expire = None
        self.sticky_next = None
        self.refunds_are = RefundState.SUCCEEDED

    def decide(self) -> None:
        """The banks have thought about everything that lay with them."""
        for refund in [one for refunds in self.given_back.values() for one in refunds]:
            if refund.state is RefundState.PENDING:
                self.refund_becomes(refund.provider_refund_id, RefundState.SUCCEEDED)
        for intent, disputes in self.disputes.items():
            for dispute in [one for one in disputes.values() if one.state not in CLOSED_DISPUTES]:
                self.goes_on(intent, dispute, "warning_closed" if dispute.state.startswith("warning_") else "won")

    async def create_session(self, request: SessionRequest, key_number: int = 1) -> PaymentSession:
        if (request.order_id, key_number) in self.sticky:
            self.calls.append("create")
            raise PaymentStuck("500, replayed")
        if self.sticky_next is not None:
            with_effect, self.sticky_next = self.sticky_next == "effect", None
            if with_effect:
                await super().create_session(request, key_number)
            self.sticky.add((request.order_id, key_number))
            self.faults["sticky_500"] += 1
            raise PaymentUnreachable("500")
        return await super().create_session(request, key_number)

    async def refunds_of(self, payment_intent_id: str) -> list[ProviderRefund]:
        refunds = await super().refunds_of(payment_intent_id)
        self.faults["refund made elsewhere noticed"] += any(refund.refund_id is None for refund in refunds)
        return refunds

    def open_dispute(self, payment_intent_id: str, state: str) -> ProviderDispute:
        """A bank wants all that was not given back."""
        dispute = ProviderDispute(f"dp_{payment_intent_id}", self.left(payment_intent_id), state, "fraudulent")
        return self.goes_on(payment_intent_id, dispute, state)

    def goes_on(self, payment_intent_id: str, dispute: ProviderDispute, state: str) -> ProviderDispute:
        self.disputes.setdefault(payment_intent_id, {})[dispute.dispute_id] = now = replace(dispute, state=state)
        return now

    def is_lost(self, payment_intent_id: str | None) -> bool:
        """A bank has taken what was left, for good."""
        return any(one.state == "lost" for one in self.disputes.get(str(payment_intent_id), {}).values())

    def is_disputed(self, payment_intent_id: str | None) -> bool:
        return any(
            not (one.state in CLOSED_DISPUTES or one.state.startswith("warning_")) or one.state == "lost"
            for one in self.disputes.get(str(payment_intent_id), {}).values()
        )

    @property
    def refunds(self) -> dict[str, list[int]]:
        """Given back, or on its way."""
        return {
            intent: [refund.amount for refund in refunds if not refund.state.is_undone]
            for intent, refunds in self.given_back.items()
        }

    def force_pay(self, session_id: str, **changes: object) -> ProviderSession:
        state = super().force_pay(session_id, **changes)
        if state.paid:
            intent = str(state.payment_intent_id)
            self.charges.setdefault(intent, []).append(state.amount_total)
            self.payer[intent] = session_id
        return state

    def open_foreign(self, session_id: str, order_id: str | None, amount: int) -> None:
        """A session that the shop did not ask for: of no order, or forged for one of its orders."""
        self.sessions[session_id] = ProviderSession(session_id, SessionStatus.OPEN, False, amount, "usd", order_id)

    def close(self, session_id: str) -> None:
        """The customer leaves through the payment page."""
        self.sessions[session_id] = replace(self.sessions[session_id], status=SessionStatus.EXPIRED)

    def plant(
        self, where: dict[str, Callable[[], None]], operation: str, name: str, error: Exception, times: int
    ) -> None:
        """The next calls of the operation fail: before the effect in `fail`, after it in `lose_reply`."""
        left = times

        def fire() -> None:
            nonlocal left
            if left > 0:
                left -= 1
                self.faults[name] += 1
                raise error

        where[operation] = fire

    def balance(self, session_id: str) -> int:
        """What was charged on a session and not given back."""
        intents = [intent for intent, payer in self.payer.items() if payer == session_id]
        return sum(sum(self.charges[intent]) - sum(self.refunds.get(intent, [])) for intent in intents)
