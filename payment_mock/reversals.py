"""What happens to money after it was taken: refunds, which may fail days later, and disputes. Pure steps, too.

Sources: docs.stripe.com/refunds, docs.stripe.com/disputes, docs.stripe.com/api/events/types.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from time import time

from payment_mock.domain import errors, ids, wire
from payment_mock.domain.events import event
from payment_mock.domain.methods import method
from payment_mock.domain.objects import Change, Dispute, Entry, Later, Refund, Session

_DAY = 86_400
_RESPONSE_DAYS = 9
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
    wanted, how = _refundable(session, amount), method(session.payment_method)
    _check_status(status or how.refund, _REFUNDS)
    after = replace(session, amount_refunded=session.amount_refunded + wanted)
    made = Refund(
        id=ids.refund_id(),
        session_id=session.id,
        payment_intent=session.payment_intent,
        charge=session.charge,
        amount=wanted,
        currency=session.currency,
        reason=reason,
        metadata=metadata or {},
        created=int(time()),
        status=status or how.refund,
    )
    events = (event("refund.created", wire.refund_object(made)), event("charge.refunded", wire.charge_object(after)))
    later = [Later(made.id, how.refund_later)] if how.refund_later and status is None else []
    if session.dispute_status in ("warning_needs_response", "warning_under_review") and after.left == 0:
        later.append(Later(session.id, "warning_closed"))  # a bank that only inquires has nothing left to ask
    return Change(after, events, (Entry(made.id, "refund", wanted),), refund=made, later=later)


def refund_becomes(session: Session, was: Refund, status: str) -> Change:
    """What the banks make of a refund. One that failed or was cancelled is money that the shop has again."""
    if status not in _REFUNDS.get(was.status, ()):
        return Change(session)
    is_undone = status in ("failed", "canceled")
    now = replace(was, status=status, failure_reason="expired_or_canceled_card" if status == "failed" else None)
    shown = wire.refund_object(now)
    kinds = ("refund.updated", "charge.refund.updated", *(["refund.failed"] if status == "failed" else []))
    return Change(
        replace(session, amount_refunded=session.amount_refunded - was.amount) if is_undone else session,
        [event(kind, shown) for kind in kinds],
        (Entry(f"txn_{was.id}", "refund_failure", was.amount),) if is_undone else (),
        refund=now,
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
        id=ids.dispute_id(),
        session_id=session.id,
        payment_intent=session.payment_intent,
        charge=session.charge,
        amount=wanted,
        currency=session.currency,
        reason=reason or method(session.payment_method).dispute_reason,
        status=status,
        created=int(time()),
        due_by=int(time()) + _RESPONSE_DAYS * _DAY,
    )
    after = replace(session, dispute_status=status)
    shown, kinds = wire.dispute_object(made), ["charge.dispute.created"]
    if takes := not status.startswith("warning_"):
        kinds.append("charge.dispute.funds_withdrawn")
    if status == "lost":
        kinds.append("charge.dispute.closed")
    entries = [Entry(made.id, "dispute", made.amount)] if takes else []
    return Change(after, [event(kind, shown) for kind in kinds], entries, dispute=made)


def dispute_becomes(session: Session, was: Dispute, status: str, *, has_evidence: bool | None = None) -> Change:
    """A response, a decision of the bank, or an inquiry that becomes a dispute."""
    if status not in _DISPUTES.get(was.status, ()):
        return Change(session)
    now = replace(was, status=status, has_evidence=was.has_evidence if has_evidence is None else has_evidence)
    shown, entries = wire.dispute_object(now), []
    kinds = ["charge.dispute.updated"]
    if status in ("won", "lost", "warning_closed"):
        kinds = ["charge.dispute.closed"]
    if status == "won":
        kinds.append("charge.dispute.funds_reinstated")
        entries.append(Entry(f"txn_{was.id}", "dispute_reversal", was.amount))
    if status == "needs_response":
        kinds.append("charge.dispute.funds_withdrawn")
        entries.append(Entry(was.id, "dispute", was.amount))
    after = replace(session, dispute_status=status)
    return Change(after, [event(kind, shown) for kind in kinds], entries, dispute=now)


def respond(session: Session, was: Dispute, text: str, submit: bool) -> Change:
    """Evidence. Its text decides in test mode: `winning_evidence`, `losing_evidence`, `escalate_inquiry_evidence`.

    Raises `StripeError` (400) for a dispute that is over.
    """
    if was.status not in ("needs_response", "warning_needs_response"):
        raise errors.invalid_request(f"This dispute is already closed or under review: its status is {was.status}.")
    if not submit:
        return Change(session, [event("charge.dispute.updated", wire.dispute_object(was))], dispute=was)
    is_inquiry = was.status.startswith("warning_")
    made = dispute_becomes(session, was, "warning_under_review" if is_inquiry else "under_review", has_evidence=True)
    outcome = (_INQUIRY_ENDS if is_inquiry else _DISPUTE_ENDS).get(text)
    return replace(made, later=(Later(was.id, outcome),)) if outcome else made


def _check_status(status: str, known: Collection[str]) -> None:
    if status not in known:
        raise errors.invalid_request(f"Invalid status: must be one of {', '.join(known)}", param="status")


def _refundable(session: Session, amount: int | None) -> int:
    if not session.is_paid:
        raise errors.invalid_request(
            f"This PaymentIntent ({session.payment_intent}) does not have a successful charge to refund.",
            code="payment_intent_unexpected_state",
        )
    if session.dispute_status in ("needs_response", "under_review", "lost"):
        raise errors.invalid_request(
            f"Charge {session.charge} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    left = session.left
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
