"""What happens to money after it was taken: refunds, which may fail days later, and disputes. Pure transitions,
too (docs.stripe.com/refunds, docs.stripe.com/disputes, docs.stripe.com/api/events/types)."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from time import time
from typing import Any

from payment_mock.domain import errors, wire
from payment_mock.domain.methods import method
from payment_mock.domain.objects import Change, Dispute, Entry, Refund, Session, new_id
from payment_mock.domain.wire import event

_TIME_TO_RESPOND = 9 * 86_400
# What may follow upon what; whatever else is asked for changes nothing.
_REFUNDS: Mapping[str, tuple[str, ...]] = {
    "pending": ("requires_action", "succeeded", "failed", "canceled"),
    "requires_action": ("pending", "succeeded", "failed", "canceled"),
    "succeeded": ("failed",),
}
_DISPUTES: Mapping[str, tuple[str, ...]] = {
    "warning_needs_response": ("warning_under_review", "warning_closed", "needs_response"),
    "warning_under_review": ("warning_closed", "needs_response"),
    "needs_response": ("under_review", "won", "lost"),
    "under_review": ("won", "lost"),
}
# What is told of a dispute that has come to a status; of any other, that it was updated.
_TOLD = {
    "warning_closed": ("closed",),
    "needs_response": ("updated", "funds_withdrawn"),
    "won": ("closed", "funds_reinstated"),
    "lost": ("closed",),
}
# What the text of evidence leads to (docs.stripe.com/testing#disputes).
_DISPUTE_ENDS = {"winning_evidence": "won", "losing_evidence": "lost"}
_INQUIRY_ENDS = dict.fromkeys(_DISPUTE_ENDS, "warning_closed") | {"escalate_inquiry_evidence": "needs_response"}


def refund(
    session: Session,
    amount: int | None,
    reason: str | None = None,
    metadata: Mapping[str, str] | None = None,
    status: str | None = None,
) -> Change:
    """Give money back; `amount` in minor units, None for all that is left. `status`: not as the payment method has it.
    Raises `StripeError` (400)."""
    charge, left, currency = f"Charge {session.charge}", session.left, session.currency
    if not session.is_paid:
        told = f"This PaymentIntent ({session.payment_intent}) does not have a successful charge to refund."
        raise errors.invalid_request(told, code="payment_intent_unexpected_state")
    if session.dispute_status in ("needs_response", "under_review", "lost"):
        told = f"{charge} has been charged back; cannot issue a refund."
        raise errors.invalid_request(told, code="charge_disputed")
    if left == 0:
        raise errors.invalid_request(f"{charge} has already been refunded.", code="charge_already_refunded")
    if amount is not None and amount > left:
        told = f"Refund amount ({amount} {currency}) is greater than unrefunded amount on charge ({left} {currency})"
        raise errors.invalid_request(told, param="amount")
    wanted, how = left if amount is None else amount, method(session.payment_method)
    _check_status(status or how.refund, _REFUNDS)
    after = replace(session, amount_refunded=session.amount_refunded + wanted)
    made = Refund(
        id=new_id("re_3"), amount=wanted, status=status or how.refund, reason=reason, metadata=metadata or {},
        **_of(session),
    )  # fmt: skip
    events = (event("refund.created", wire.reversal_object(made)), event("charge.refunded", wire.charge_object(after)))
    later = {made.id: how.refund_later} if how.refund_later and status is None else {}
    if session.dispute_status in ("warning_needs_response", "warning_under_review") and after.left == 0:
        later[session.id] = "warning_closed"  # a bank that only inquires has nothing left to ask
    return Change(after, events, (Entry(made.id, "refund", wanted),), reversal=made, later=later)


def refund_becomes(session: Session, was: Refund, status: str) -> Change:
    """What the banks make of a refund. One that failed or was cancelled is money that the shop has again."""
    if status not in _REFUNDS.get(was.status, ()):
        return Change(session)
    is_undone = status in ("failed", "canceled")
    now = replace(was, status=status, failure_reason="expired_or_canceled_card" if status == "failed" else None)
    shown = wire.reversal_object(now)
    kinds = ("refund.updated", "charge.refund.updated", *(["refund.failed"] if status == "failed" else []))
    return Change(
        replace(session, amount_refunded=session.amount_refunded - was.amount) if is_undone else session,
        [event(kind, shown) for kind in kinds],
        (Entry(f"txn_{was.id}", "refund_failure", was.amount),) if is_undone else (),
        reversal=now,
    )


def cancel_refund(session: Session, was: Refund) -> Change:
    """By the shop, which can only cancel what waits for its customer. Raises `StripeError` (400)."""
    if was.status != "requires_action":
        raise errors.invalid_request(f"This refund cannot be canceled: its status is {was.status}.")
    return refund_becomes(session, was, "canceled")


def dispute(
    session: Session, amount: int | None = None, reason: str | None = None, status: str | None = None
) -> Change:
    """A customer's bank takes the money back; or (`warning_needs_response`) only asks; or (`lost`) keeps it for good.

    `amount` in minor units; None: all that is not refunded. Raises `StripeError` (400).
    """
    if not session.is_paid or session.dispute_status is not None:
        raise errors.invalid_request("There is no payment to dispute, or it is disputed already.")
    status = status or "needs_response"
    _check_status(status, (*_DISPUTES, "lost"))
    wanted = session.left if amount is None else amount
    if not 0 < wanted <= session.amount_total:
        raise errors.invalid_request(f"Nothing, or more than was paid, is disputed: {wanted}", param="amount")
    made = Dispute(
        id=new_id("du_1"), amount=wanted, status=status, due_by=int(time()) + _TIME_TO_RESPOND,
        reason=reason or method(session.payment_method).reason, **_of(session),
    )  # fmt: skip
    takes = () if status.startswith("warning_") else ("funds_withdrawn",)
    return _disputed(session, made, ("created", *takes, *(("closed",) if status == "lost" else ())))


def dispute_becomes(session: Session, was: Dispute, status: str) -> Change:
    """Evidence was given, the bank has decided, or an inquiry becomes a dispute."""
    if status not in _DISPUTES.get(was.status, ()):
        return Change(session)
    return _disputed(session, replace(was, status=status), _TOLD.get(status, ("updated",)))


def respond(session: Session, was: Dispute, text: str, submit: bool) -> Change:
    """Evidence of the shop, whose text decides in test mode. Raises `StripeError` (400) when none is heard any more."""
    is_inquiry = was.status == "warning_needs_response"
    if not is_inquiry and was.status != "needs_response":
        raise errors.invalid_request(f"This dispute is already closed or under review: its status is {was.status}.")
    if not submit:
        return _disputed(session, was, ("updated",))
    given = replace(was, has_evidence=True)
    made = dispute_becomes(session, given, "warning_under_review" if is_inquiry else "under_review")
    outcome = (_INQUIRY_ENDS if is_inquiry else _DISPUTE_ENDS).get(text)
    return replace(made, later={was.id: outcome}) if outcome else made


def close(session: Session, was: Dispute) -> Change:
    """The shop accepts that it is lost. Raises `StripeError` (400)."""
    if "lost" not in _DISPUTES.get(was.status, ()):
        raise errors.invalid_request("This dispute is already closed.")
    return dispute_becomes(session, was, "lost")


def _disputed(session: Session, now: Dispute, told: Collection[str]) -> Change:
    """The dispute as it is now, what is told of it, and the money that this moves."""
    shown, entries = wire.reversal_object(now), []
    if "funds_withdrawn" in told:
        entries.append(Entry(now.id, "dispute", now.amount))
    if "funds_reinstated" in told:
        entries.append(Entry(f"txn_{now.id}", "dispute_reversal", now.amount))
    events = [event(f"charge.dispute.{what}", shown) for what in told]
    return Change(replace(session, dispute_status=now.status), events, entries, reversal=now)


def _of(session: Session) -> dict[str, Any]:
    """What a refund or a dispute has from its payment."""
    its = {name: getattr(session, name) for name in ("payment_intent", "charge", "currency")}
    return {**its, "session_id": session.id, "created": int(time())}


def _check_status(status: str, known: Collection[str]) -> None:
    if status not in known:
        raise errors.invalid_request(f"Invalid status: must be one of {', '.join(known)}", param="status")
