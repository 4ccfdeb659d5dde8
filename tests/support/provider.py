"""A payment service in memory behind the port: stateful, with the faults that the workflow tests need.

The real adapter and the real HTTP mock have their own tests; here what counts is what the workflow does about
each answer.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from checkout.errors import PaymentRefused, PaymentUnknown, PaymentUnreachable
from checkout.payments import PaymentState, ProviderDispute, ProviderPayment, ProviderRefund, Refund, RefundState
from checkout.sessions import PaymentSession, ProviderSession, SessionRequest, SessionStatus


@dataclass
class FakeProvider:
    """`fail[operation]` is called before, `lose_reply[operation]` after the effect; both may raise."""

    sessions: dict[str, ProviderSession] = field(default_factory=dict)
    by_order: dict[str, str] = field(default_factory=dict)
    by_key: dict[tuple[str, int], str] = field(default_factory=dict)
    given_back: dict[str, list[ProviderRefund]] = field(default_factory=dict)
    disputes: dict[str, dict[str, ProviderDispute]] = field(default_factory=dict)
    refunds_are: RefundState = RefundState.SUCCEEDED
    """What a refund is when it has just been made."""
    calls: list[str] = field(default_factory=list)
    fail: dict[str, Callable[[], None]] = field(default_factory=dict)
    lose_reply: dict[str, Callable[[], None]] = field(default_factory=dict)
    on_expire: Callable[[str], object] | None = None
    find_takes: float = 0.0
    """Seconds: the list of a busy shop's sessions is long."""
    created: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def create_session(self, request: SessionRequest, key_number: int = 1) -> PaymentSession:
        self._begin("create")
        key = (request.order_id, key_number)
        if key not in self.by_key:
            session_id = f"cs_fake_{next(self._numbers)}_{request.order_id[-6:]}"
            self.by_key[key] = session_id
            self.by_order.setdefault(request.order_id, session_id)
            self.sessions[session_id] = ProviderSession(
                session_id=session_id,
                status=SessionStatus.OPEN,
                paid=False,
                amount_total=sum(line.quantity * line.unit_amount for line in request.lines),
                currency=request.currency,
                order_id=request.order_id,
            )
            self.created.set()
        self._end("create")
        return self._session(self.by_key[key])

    async def find_session(self, request: SessionRequest) -> PaymentSession | None:
        self._begin("find")
        await asyncio.sleep(self.find_takes)
        session_id = self.by_order.get(request.order_id)
        return self._session(session_id) if session_id else None

    async def retrieve_session(self, session_id: str) -> ProviderSession:
        self._begin("retrieve")
        return self._state(session_id)

    async def expire_session(self, session_id: str) -> ProviderSession:
        self._begin("expire")
        if self.on_expire is not None:
            self.on_expire(session_id)
        state = self._state(session_id)
        if state.status is SessionStatus.OPEN:
            self.sessions[session_id] = replace(state, status=SessionStatus.EXPIRED)
        self._end("expire")
        return self.sessions[session_id]

    async def payment(self, payment_intent_id: str) -> ProviderPayment:
        self._begin("look at payment")
        state = self._payer(payment_intent_id)
        is_paid = (
            PaymentState.PAID if state.paid else PaymentState.FAILED if state.has_failed else PaymentState.PROCESSING
        )
        return ProviderPayment(payment_intent_id, is_paid, state.amount_total, state.currency, state.order_id)

    async def refunds_of(self, payment_intent_id: str) -> list[ProviderRefund]:
        self._begin("list refunds")
        return list(self.given_back.get(payment_intent_id, []))

    async def disputes_of(self, payment_intent_id: str) -> list[ProviderDispute]:
        return list(self.disputes.get(payment_intent_id, {}).values())

    async def refund(self, refund: Refund) -> ProviderRefund:
        self._begin("refund")
        for made in self.given_back.get(refund.payment_intent_id, []):
            if made.refund_id == refund.id:
                return made
        made = self._give_back(refund.payment_intent_id, refund.amount, refund.id)
        self._end("refund")
        return made

    @property
    def refunded(self) -> list[str]:
        """The payments of which all has been given back, or is on its way."""
        return [intent for intent in self.given_back if self.left(intent) == 0]

    def left(self, payment_intent_id: str) -> int:
        """What of a payment was not given back."""
        refunds = self.given_back.get(payment_intent_id, [])
        back = sum(refund.amount for refund in refunds if not refund.state.is_undone)
        return self._payer(payment_intent_id).amount_total - back

    def refund_elsewhere(self, payment_intent_id: str, amount: int | None = None) -> ProviderRefund:
        """In the provider's dashboard, past the shop: `amount`, or all that is left."""
        return self._give_back(payment_intent_id, amount or self.left(payment_intent_id), None)

    def refund_becomes(self, provider_refund_id: str, state: RefundState, **changes: Any) -> None:
        """What the banks make of a refund."""
        for refunds in self.given_back.values():
            for index, refund in enumerate(refunds):
                if refund.provider_refund_id == provider_refund_id:
                    refunds[index] = replace(refund, state=state, **{"requires_action": False, **changes})

    def dispute(self, payment_intent_id: str, state: str = "needs_response", dispute_id: str = "dp_1") -> None:
        """A bank opens a dispute over all of a payment, or goes on with it."""
        due = datetime(2030, 1, 1, tzinfo=UTC)
        word = ProviderDispute(dispute_id, self._payer(payment_intent_id).amount_total, state, "fraudulent", due)
        self.disputes.setdefault(payment_intent_id, {})[dispute_id] = word

    def order_debit(self, session_id: str) -> str:
        """The customer orders a payment that takes days; answers its id."""
        intent = f"pi_{session_id}"
        self.sessions[session_id] = replace(
            self._state(session_id), status=SessionStatus.COMPLETE, payment_intent_id=intent
        )
        return intent

    def debit_fails(self, session_id: str) -> None:
        self.sessions[session_id] = replace(self._state(session_id), has_failed=True)

    def _give_back(self, payment_intent_id: str, amount: int, refund_id: str | None) -> ProviderRefund:
        disputes = self.disputes.get(payment_intent_id, {}).values()
        if any(dispute.state in ("needs_response", "under_review", "lost") for dispute in disputes):
            raise PaymentRefused("charge_disputed")
        if amount > self.left(payment_intent_id):
            raise PaymentRefused("greater than unrefunded amount on charge")
        made = ProviderRefund(
            f"re_{next(self._numbers)}_{payment_intent_id[-9:]}", amount, self.refunds_are, refund_id=refund_id
        )
        self.given_back.setdefault(payment_intent_id, []).append(made)
        return made

    def _payer(self, payment_intent_id: str) -> ProviderSession:
        for state in self.sessions.values():
            if state.payment_intent_id == payment_intent_id:
                return state
        raise PaymentUnknown("no such payment")

    def pay(self, session_id: str, **changes: object) -> ProviderSession:
        """The customer pays an open session. `changes` make the payment differ from what was agreed."""
        state = self._state(session_id)
        assert state.status is SessionStatus.OPEN, "only an open session can be paid"
        return self.force_pay(session_id, **changes)

    def force_pay(self, session_id: str, **changes: object) -> ProviderSession:
        """Money arrives whatever the session's state, as a provider's error would have it."""
        paid: dict[str, Any] = {
            "status": SessionStatus.COMPLETE,
            "paid": True,
            "payment_intent_id": f"pi_{session_id}",
        }
        state = replace(self._state(session_id), **(paid | changes))
        self.sessions[session_id] = state
        return state

    def charges_of(self, order_id: str) -> int:
        """How often the order's money was taken and not given back."""
        return sum(
            state.paid and state.payment_intent_id not in self.refunded
            for state in self.sessions.values()
            if state.order_id == order_id
        )

    def _session(self, session_id: str) -> PaymentSession:
        return PaymentSession(session_id, f"https://pay.example/{session_id}")

    def _state(self, session_id: str) -> ProviderSession:
        if session_id not in self.sessions:
            raise PaymentUnknown("no such session")
        return self.sessions[session_id]

    def _begin(self, operation: str) -> None:
        self.calls.append(operation)
        if operation in self.fail:
            self.fail[operation]()

    def _end(self, operation: str) -> None:
        if operation in self.lose_reply:
            self.lose_reply[operation]()


def times(count: int, error: Exception | None = None) -> Callable[[], None]:
    """Raise `error` (by default: unreachable) the first `count` times."""
    left = itertools.count(count, -1)

    def raise_some() -> None:
        if next(left) > 0:
            raise error or PaymentUnreachable("no answer")

    return raise_some


def always(error: Exception) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it
