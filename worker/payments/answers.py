"""What Stripe's answers mean, in the port's words. Whatever cannot be read decides nothing: it is asked for again.

Sources: Stripe API reference, "Errors", "Idempotent requests", "The Checkout Session object", "Expanding responses".
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import stripe
from pydantic import Field, TypeAdapter

from checkout.errors import PaymentError, PaymentRefused, PaymentStuck, PaymentUnknown, PaymentUnreachable
from checkout.payments import STRIPE_REFUND_STATES, PaymentState, ProviderDispute, ProviderPayment, ProviderRefund
from checkout.sessions import ProviderSession, SessionStatus

REFUND_ID = "refund_id"  # in a refund's metadata: our row
_LONGEST_REASON = 200
# Of a payment that its customer has ordered; in any other state it is under way.
_PAYMENT_STATES = {
    "succeeded": PaymentState.PAID,
    "requires_payment_method": PaymentState.FAILED,
    "canceled": PaymentState.FAILED,
}
# Each raises `ValueError` for what is not just that.
_word: Callable[[object], str] = TypeAdapter(Annotated[str, Field(pattern="^[a-z_]{1,40}$")]).validate_python
_text: Callable[[object], str] = TypeAdapter(Annotated[str, Field(strict=True, min_length=1)]).validate_python
_amount: Callable[[object], int] = TypeAdapter(Annotated[int, Field(strict=True, gt=0)]).validate_python
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


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """An answer of another shape is none: an empty 200 of something in between, say."""
    try:
        yield
    except (AttributeError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise PaymentUnreachable(f"The payment service answered something that is not a {what}") from error


def state_of(session: Any) -> ProviderSession:
    """Raises `PaymentUnknown` for a session that is not for a payment: nothing of it is for us to settle."""
    with _reading("session"):
        if session.mode != "payment":
            # Of a subscription, say, that somebody else sells with the same account.
            raise PaymentUnknown("The session is not for a payment")
        intent = getattr(session, "payment_intent", None)  # expandable: an id or the object itself
        return ProviderSession(
            session_id=session.id,
            status=SessionStatus(session.status),
            paid=session.payment_status == "paid",
            amount_total=int(session.amount_total),
            currency=str(session.currency),
            order_id=metadata_of(session).get("order_id"),
            payment_intent_id=intent if intent is None or isinstance(intent, str) else str(intent.id),
            is_free=session.payment_status == "no_payment_required",
        )


def waits_for_its_payment(session: ProviderSession) -> bool:
    """It is complete and not paid: whether the money is still on its way, only the payment tells."""
    return session.status is SessionStatus.COMPLETE and not session.paid and not session.is_free


def with_payment(session: ProviderSession, payment: ProviderPayment) -> ProviderSession:
    """The session, with what its payment tells of the money."""
    paid, has_failed = payment.state is PaymentState.PAID, payment.state is PaymentState.FAILED
    return replace(session, paid=paid, has_failed=has_failed)


def payment_of(intent: Any) -> ProviderPayment:
    with _reading("payment"):
        return ProviderPayment(
            payment_intent_id=_text(intent.id),
            state=_PAYMENT_STATES.get(intent.status, PaymentState.PROCESSING),
            amount=_amount(getattr(intent, "amount_received", None) or intent.amount),
            currency=_text(intent.currency),
            order_id=metadata_of(intent).get("order_id"),
        )


def refund_of(refund: Any) -> ProviderRefund:
    with _reading("refund"):
        return ProviderRefund(
            provider_refund_id=_text(refund.id),
            amount=_amount(refund.amount),
            state=STRIPE_REFUND_STATES[refund.status],
            requires_action=refund.status == "requires_action",
            refund_id=metadata_of(refund).get(REFUND_ID),
            reason=_optional(getattr(refund, "reason", None)),
            failure_reason=_optional(getattr(refund, "failure_reason", None)),
        )


def dispute_of(dispute: Any) -> ProviderDispute:
    with _reading("dispute"):
        due_by = getattr(getattr(dispute, "evidence_details", None), "due_by", None)
        return ProviderDispute(
            dispute_id=_text(dispute.id),
            amount=_amount(dispute.amount),
            state=_word(dispute.status),
            reason=_optional(dispute.reason) or "general",
            evidence_due_by=datetime.fromtimestamp(int(due_by), UTC) if due_by else None,
        )


def metadata_of(of: Any) -> dict[str, str]:
    metadata = getattr(of, "metadata", None)
    return dict(metadata.to_dict()) if metadata else {}


def _optional(value: object) -> str | None:
    return value[:_LONGEST_REASON] if isinstance(value, str) else None
