"""A payment service in memory behind the port: stateful, with the faults that the workflow tests need.

The real adapter and the real HTTP mock have their own tests; here what counts is what the workflow does about
each answer.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from checkout.errors import PaymentUnknown, PaymentUnreachable
from checkout.payments import PaymentSession, SessionState, SessionStatus
from worker.payments.port import SessionRequest


@dataclass
class FakeProvider:
    """`fail[operation]` is called before, `lose_reply[operation]` after the effect; both may raise."""

    sessions: dict[str, SessionState] = field(default_factory=dict)
    by_order: dict[str, str] = field(default_factory=dict)
    by_key: dict[tuple[str, int], str] = field(default_factory=dict)
    refunded: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    fail: dict[str, Callable[[], None]] = field(default_factory=dict)
    lose_reply: dict[str, Callable[[], None]] = field(default_factory=dict)
    on_expire: Callable[[str], None] | None = None
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
            self.sessions[session_id] = SessionState(
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

    async def retrieve_session(self, session_id: str) -> SessionState:
        self._begin("retrieve")
        return self._state(session_id)

    async def expire_session(self, session_id: str) -> SessionState:
        self._begin("expire")
        if self.on_expire is not None:
            self.on_expire(session_id)
        state = self._state(session_id)
        if state.status is SessionStatus.OPEN:
            self.sessions[session_id] = replace(state, status=SessionStatus.EXPIRED)
        self._end("expire")
        return self.sessions[session_id]

    async def refund(self, payment_intent_id: str) -> None:
        self._begin("refund")
        if payment_intent_id not in self.refunded:
            self.refunded.append(payment_intent_id)
        self._end("refund")

    async def is_refunded(self, payment_intent_id: str) -> bool:
        self._begin("look for refund")
        return payment_intent_id in self.refunded

    def pay(self, session_id: str, **changes: object) -> SessionState:
        """The customer pays an open session. `changes` make the payment differ from what was agreed."""
        state = self._state(session_id)
        assert state.status is SessionStatus.OPEN, "only an open session can be paid"
        return self.force_pay(session_id, **changes)

    def force_pay(self, session_id: str, **changes: object) -> SessionState:
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

    def _state(self, session_id: str) -> SessionState:
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
