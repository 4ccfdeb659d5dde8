"""What the payment service does, in its own words: pay, settle, decline, expire. What comes after: `reversals`.

Each is a pure function from what a payment is to what it becomes, with its events and the lines of the ledger; or it
refuses, and says why. That nothing else happened to the payment meanwhile is decided where the change is stored
(`payment_mock.store.changes`).
"""

from collections.abc import Callable
from dataclasses import replace
from time import time

from payment_mock.domain import errors, ids, wire
from payment_mock.domain.events import event
from payment_mock.domain.methods import CARD, METHODS, method
from payment_mock.domain.objects import Change, Entry, Event, Later, Session

Step = Callable[..., Change]


class Provider:
    """`public_url` is the base of the hosted pages, which sessions tell."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    def pay(self, session: Session, by: str = CARD) -> Change:
        """Charge an open session; or, by a method that takes days, complete it unpaid. Paying again changes nothing.

        Raises `NotPayable` when the session is over: expired, cancelled, or past its `expires_at`.
        """
        if session.is_paid:
            return Change(session)
        if not _is_payable(session):
            raise NotPayable(session)
        made = self._processing(session, by) if METHODS[by].takes_days else self._charged(session, by, "completed")
        return replace(made, in_time=True)

    def settle(self, session: Session, status: str) -> Change:
        """What became of a payment that took days: `succeeded` or `failed`."""
        if session.is_processing and status == "failed":
            failed = replace(session, decline_code=method(session.payment_method).fails)
            return Change(failed, self._story("async_payment_failed", failed, "payment_failed", "failed"))
        return self.pay_late(session) if session.is_processing and status == "succeeded" else Change(session)

    def pay_late(self, session: Session) -> Change:
        """Charge a session in whatever state it is, as late money does. Only the control plane can."""
        if session.is_paid:
            return Change(session)
        told = "async_payment_succeeded" if session.status == "complete" else "completed"
        return self._charged(session, session.payment_method or CARD, told)

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

    def _charged(self, session: Session, by: str, told: str) -> Change:
        paid = replace(
            self._attempted(session, by),
            status="complete",
            payment_status="paid",
            charge=ids.charge_id(session.id),
            paid_at=int(time()),
        )
        entries = (Entry(str(paid.charge), "charge", paid.amount_total),)
        story = self._story(told, paid, "succeeded", "succeeded")
        return Change(paid, story, entries, later=_later(paid, METHODS[by].disputed))

    def _processing(self, session: Session, by: str) -> Change:
        done = replace(self._attempted(session, by), status="complete", charge=ids.charge_id(session.id))
        story = self._story("completed", done, "processing", "pending")
        return Change(done, story, later=_later(done, METHODS[by].settles))

    def _attempted(self, session: Session, by: str) -> Session:
        return replace(session, payment_method=by, payment_intent=ids.payment_intent_id(session.id), decline_code=None)

    def _story(self, session_is: str, session: Session, intent_is: str, charge_is: str) -> tuple[Event, ...]:
        """The session's event, then those of the payment behind it."""
        return (
            self._told(f"checkout.session.{session_is}", session),
            event(f"payment_intent.{intent_is}", wire.payment_intent_object(session)),
            event(f"charge.{charge_is}", wire.charge_object(session)),
        )

    def _told(self, type_: str, session: Session) -> Event:
        return event(type_, wire.session_object(session, self._public_url))


def _later(session: Session, status: str | None) -> tuple[Later, ...]:
    return (Later(session.id, status),) if status else ()


def _is_payable(session: Session) -> bool:
    return session.status == "open" and time() < session.expires_at


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
