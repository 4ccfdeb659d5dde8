"""What Stripe's answers mean, in the port's words. Whatever cannot be read decides nothing: it is asked for again.

Sources: Stripe API reference, "Errors", "Idempotent requests", "The Checkout Session object", "Expanding responses".
"""

import re
from typing import Any

import stripe

from checkout.errors import PaymentError, PaymentRefused, PaymentStuck, PaymentUnknown, PaymentUnreachable
from checkout.payments import SessionState, SessionStatus

NOT_UNDONE = frozenset({"pending", "requires_action", "succeeded"})  # a refund's status
UNDONE = frozenset({"failed", "canceled"})
_LONGEST = 300  # characters of the provider's own words in an error of ours
_PERSONAL = re.compile(r"\S+@\S+|\b[sr]k_\w+|\bwhsec_\w+")


def error_of(error: stripe.StripeError) -> PaymentError:
    """The port's error for one of the library's that is an answer."""
    status, code = error.http_status or 0, error.code or type(error).__name__
    told = f"The payment service answered {status} ({code}){_own_words(error)}"
    if code == "idempotency_key_in_use" or status in (408, 409, 429):
        return PaymentUnreachable(told)
    if error.error is None:
        # Whatever answered, Stripe would have said why: a proxy's page, another service at this address.
        return PaymentUnreachable(told)
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if headers.get("idempotent-replayed") == "true" or isinstance(error, stripe.IdempotencyError):
        return PaymentStuck(told)
    if status == 404 and code == "resource_missing":
        return PaymentUnknown(told)
    return PaymentRefused(told) if 400 <= status < 500 else PaymentUnreachable(told)


def _own_words(error: stripe.StripeError) -> str:
    """Which parameter, and why, for whoever reads the log: without addresses and keys that the words may repeat."""
    said: Any = error.error
    parameter, words = getattr(said, "param", None), getattr(said, "message", None)
    told = f", parameter {parameter}" if isinstance(parameter, str) else ""
    if isinstance(words, str):
        told += f": {_PERSONAL.sub('…', ' '.join(words.split()))[:_LONGEST]}"
    return f"{told} [{error.request_id}]" if error.request_id else told


def check_made(refund: Any) -> None:
    """Money is back only if the answer is a refund that stands: an empty 200 of something in between is none."""
    status = getattr(refund, "status", None)
    if status in UNDONE:
        raise PaymentRefused(f"The refund is {status}")
    if status not in NOT_UNDONE:
        raise PaymentUnreachable("The payment service answered something that is not a refund")


def metadata_of(of: Any) -> dict[str, str]:
    metadata = getattr(of, "metadata", None)
    return dict(metadata.to_dict()) if metadata else {}


def state_of(session: Any) -> SessionState:
    """Raises `PaymentUnknown` for a session that is not for a payment: nothing of it is for us to settle."""
    try:
        if session.mode != "payment":
            # Of a subscription, say, that somebody else sells with the same account.
            raise PaymentUnknown("The session is not for a payment")
        return SessionState(
            session_id=session.id,
            status=SessionStatus(session.status),
            paid=session.payment_status == "paid",
            amount_total=int(session.amount_total),
            currency=str(session.currency),
            order_id=metadata_of(session).get("order_id"),
            payment_intent_id=_identifier(getattr(session, "payment_intent", None)),
            is_free=session.payment_status == "no_payment_required",
        )
    except (AttributeError, ValueError, TypeError) as error:
        raise PaymentUnreachable("The payment service answered something that is not a session") from error


def _identifier(expandable: Any) -> str | None:
    """Stripe's expandable fields are an id or the object itself."""
    return expandable if expandable is None or isinstance(expandable, str) else str(expandable.id)
