"""What the payment service does, in its own words: pay, complete, decline, expire, refund.

Each is a pure function from what a payment is to what it becomes, with its events and the lines of the ledger; or it
refuses, and says why. That nothing else happened to the payment meanwhile is decided where the change is stored
(`payment_mock.store.changes`).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from time import time

from payment_mock.domain import errors, ids, wire
from payment_mock.domain.events import event
from payment_mock.domain.objects import Change, Entry, Event, Refund, Session

Step = Callable[[Session], Change]


class Provider:
    """`public_url` is the base of the hosted pages, which sessions tell."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    def pay(self, session: Session, method: str = "pm_card_visa") -> Change:
        """Charge an open session. Paying a paid one again changes nothing.

        Raises `NotPayable` when the session is over: expired, cancelled, or past its `expires_at`.
        """
        if session.is_paid:
            return Change(session)
        if not _is_payable(session):
            raise NotPayable(session)
        return replace(self._charged(session, method, "checkout.session.completed"), in_time=True)

    def pay_late(self, session: Session) -> Change:
        """Charge a session in whatever state it is, as late money does. Only the control plane can."""
        if session.is_paid:
            return Change(session)
        was_complete = session.status == "complete"
        told = "async_payment_succeeded" if was_complete else "completed"
        return self._charged(session, session.payment_method or "pm_card_visa", f"checkout.session.{told}")

    def complete_unpaid(self, session: Session) -> Change:
        """Complete a session whose money has not come, as delayed payment methods do. Raises `NotPayable`."""
        if not _is_payable(session):
            raise NotPayable(session)
        done = replace(session, status="complete", payment_intent=ids.payment_intent_id(session.id))
        return Change(done, (self._told("checkout.session.completed", done),), in_time=True)

    def decline(self, session: Session, decline_code: str) -> Change:
        """Record a declined attempt. The session stays open: the customer may try another card. Raises `NotPayable`."""
        if not _is_payable(session):
            raise NotPayable(session)
        declined = replace(session, payment_intent=ids.payment_intent_id(session.id), decline_code=decline_code)
        events = (event("payment_intent.payment_failed", wire.payment_intent_object(declined)),)
        return Change(declined, events, in_time=True)

    def expire(self, session: Session) -> Change:
        """Close an open session for good. Raises `NotOpen` when it is complete or expired already."""
        if session.status != "open":
            raise NotOpen(session)
        expired = replace(session, status="expired")
        return Change(expired, (self._told("checkout.session.expired", expired),))

    def refund(self, session: Session, amount: int | None, reason: str | None, metadata: Mapping[str, str]) -> Change:
        """Give money back; `amount` in minor units, None for all that is left. Raises `StripeError` (400)."""
        wanted = _refundable(session, amount)
        after = replace(session, amount_refunded=session.amount_refunded + wanted)
        refund = Refund(
            id=ids.refund_id(),
            session_id=session.id,
            payment_intent=session.payment_intent,
            charge=session.charge,
            amount=wanted,
            currency=session.currency,
            reason=reason,
            metadata=metadata,
            created=int(time()),
        )
        events = (event("charge.refunded", wire.charge_object(after)),)
        return Change(after, events, (Entry(refund.id, "refund", wanted),), refund)

    def _charged(self, session: Session, method: str, told: str) -> Change:
        """Paid: the session says so, then the payment behind it."""
        paid = replace(
            session,
            status="complete",
            payment_status="paid",
            payment_method=method,
            payment_intent=ids.payment_intent_id(session.id),
            charge=ids.charge_id(session.id),
            decline_code=None,
            paid_at=int(time()),
        )
        events = (
            self._told(told, paid),
            event("payment_intent.succeeded", wire.payment_intent_object(paid)),
            event("charge.succeeded", wire.charge_object(paid)),
        )
        return Change(paid, events, (Entry(str(paid.charge), "charge", paid.amount_total),))

    def _told(self, type_: str, session: Session) -> Event:
        return event(type_, wire.session_object(session, self._public_url))


def _is_payable(session: Session) -> bool:
    return session.status == "open" and time() < session.expires_at


def _refundable(session: Session, amount: int | None) -> int:
    if not session.is_paid:
        raise errors.invalid_request(
            f"This PaymentIntent ({session.payment_intent}) does not have a successful charge to refund.",
            code="payment_intent_unexpected_state",
        )
    left = session.amount_total - session.amount_refunded
    if left == 0:
        raise errors.invalid_request(
            f"Charge {session.charge} has already been refunded.", code="charge_already_refunded"
        )
    wanted = left if amount is None else amount
    if wanted > left:
        raise errors.invalid_request(
            f"Refund amount ({wanted} {session.currency}) is greater than unrefunded amount on charge "
            f"({left} {session.currency})",
            param="amount",
        )
    return wanted


class NotPayable(Exception):
    """The session cannot be paid any more: `session` says what it is."""

    def __init__(self, session: Session) -> None:
        super().__init__(session.id)
        self.session = session

    @property
    def reason(self) -> str:
        if self.session.status == "complete":
            return "is already complete"
        return "has expired" if self.session.status == "open" else "was cancelled or has expired"


class Declined(Exception):
    """The card was declined; `code` is Stripe's decline code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotOpen(errors.StripeError):
    """Stripe's refusal to expire a session that is over."""

    def __init__(self, session: Session) -> None:
        super().__init__(
            400,
            "invalid_request_error",
            'Only Checkout Sessions with a status in ["open"] can be expired. '
            f"This Checkout Session has a status of `{session.status}`.",
        )
        self.session = session
