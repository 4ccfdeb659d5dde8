"""What the payment service does, in its own words: pay, settle, decline, expire. What comes after: `reversals`.

Each is a pure function from what a payment is to what it becomes, or refuses and says why. That nothing else happened
to the payment meanwhile is decided where the change is stored (`payment_mock.work`).
"""

from collections.abc import Callable
from dataclasses import replace
from time import time

from payment_mock.domain import wire
from payment_mock.domain.errors import StripeError
from payment_mock.domain.methods import CARD, METHODS, method
from payment_mock.domain.objects import Change, Entry, Json, Session, id_of_its
from payment_mock.domain.wire import event

Transition = Callable[..., Change]


class NotPayable(StripeError):
    """The session cannot be paid any more: `session` says what it is."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.reason = {"complete": "is already complete", "open": "has expired"}.get(
            session.status, "was cancelled or has expired"
        )
        told = f"This session cannot be paid: it {self.reason}."
        super().__init__(409, "invalid_request_error", told, code="session_not_payable")


class Declined(StripeError):
    """The card was declined; `code` is Stripe's decline code."""

    def __init__(self, code: str) -> None:
        told = wire.decline_message(code)
        super().__init__(402, "card_error", told, code="card_declined", decline_code=code)


class NotOpen(StripeError):
    """Stripe's refusal to expire a session that is over."""

    def __init__(self, session: Session) -> None:
        self.session = session
        told = 'Only Checkout Sessions with a status in ["open"] can be expired. '
        told += f"This Checkout Session has a status of `{session.status}`."
        super().__init__(400, "invalid_request_error", told)


def pay(session: Session, by: str = CARD) -> Change:
    """Charge an open session; or complete it unpaid, by a method that takes days; or, by one that is declined, record
    the attempt: the session stays open, the customer may try another. Paying again changes nothing.

    Raises `NotPayable` when the session is over: expired, cancelled, or past its `expires_at`.
    """
    how = METHODS[by]
    if session.is_paid and not how.declined:
        return Change(session)
    if session.status != "open" or time() >= session.expires_at:
        raise NotPayable(session)
    if how.declined:
        tried = replace(session, payment_intent=id_of_its("pi_3", session.id), decline_code=how.declined)
        made = Change(tried, (event("payment_intent.payment_failed", wire.payment_intent_object(tried)),))
    else:
        made = _processing(session, by) if how.takes_days else _charged(session, by, "completed")
    return replace(made, in_time=True)


def settle(session: Session, status: str) -> Change:
    """What became of a payment that took days: `succeeded` or `failed`."""
    if session.is_processing and status == "failed":
        failed = replace(session, decline_code=method(session.payment_method).fails)
        return Change(failed, _story("async_payment_failed", failed, "payment_failed", "failed"))
    return pay_late(session) if session.is_processing and status == "succeeded" else Change(session)


def pay_late(session: Session) -> Change:
    """Charge a session in whatever state it is, as late money does. Only the control plane can."""
    if session.is_paid:
        return Change(session)
    told = "async_payment_succeeded" if session.status == "complete" else "completed"
    return _charged(session, session.payment_method or CARD, told)


def expire(session: Session) -> Change:
    """Close an open session for good. Raises `NotOpen` when it is complete or expired already."""
    if session.status != "open":
        raise NotOpen(session)
    expired = replace(session, status="expired")
    return Change(expired, (event("checkout.session.expired", wire.session_object(expired)),))


def cancel(session: Session) -> Change:
    """The customer gives up: as `expire`, but twice is once."""
    return Change(session) if session.status == "expired" else expire(session)


def _charged(session: Session, by: str, told: str) -> Change:
    paid, disputed = replace(_completed(session, by), payment_status="paid", paid_at=int(time())), METHODS[by].disputed
    entries = (Entry(str(paid.charge), "charge", paid.amount_total),)
    story = _story(told, paid, "succeeded", "succeeded")
    return Change(paid, story, entries, later={paid.id: disputed} if disputed else {})


def _processing(session: Session, by: str) -> Change:
    done, settles = _completed(session, by), METHODS[by].settles
    story = _story("completed", done, "processing", "pending")
    return Change(done, story, later={done.id: settles} if settles else {})


def _completed(session: Session, by: str) -> Session:
    intent, charge = id_of_its("pi_3", session.id), id_of_its("ch_3", session.id)
    return replace(
        session, status="complete", payment_method=by, payment_intent=intent, charge=charge, decline_code=None
    )


def _story(session_is: str, session: Session, intent_is: str, charge_is: str) -> tuple[Json, ...]:
    """The session's event, then those of the payment behind it."""
    return (
        event(f"checkout.session.{session_is}", wire.session_object(session)),
        event(f"payment_intent.{intent_is}", wire.payment_intent_object(session)),
        event(f"charge.{charge_is}", wire.charge_object(session)),
    )
