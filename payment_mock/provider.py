"""What the payment service does, in its own words: create, pay, decline, expire, refund.

Every operation reads the session, works out what it and its events would be afterwards, and lets one guarded
statement decide. Too late means: read again and say why.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from time import time

from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock.domain import errors, events, ids
from payment_mock.domain.session import Refund, Session
from payment_mock.store import sessions, transitions
from payment_mock.store.transitions import Delivery

_TRIES = 20


def session_or_404(session: Session | None, session_id: str) -> Session:
    if session is None:
        raise errors.no_such("checkout.session", session_id, "session")
    return session


async def pay(connection: AsyncConnection, session: Session, public_url: str) -> tuple[Session, Sequence[Delivery]]:
    """Charge an open session. Paying a paid one again changes nothing.

    Raises `NotPayable` when the session is over: expired, cancelled, or past its `expires_at`.
    """
    paid = as_paid(session)
    if session.payment_status != "paid":
        deliveries = await transitions.pay(connection, paid, events.completed(paid, public_url))
        if deliveries is not None:
            return paid, deliveries
        session = session_or_404(await sessions.get(connection, session.id), session.id)
    if session.payment_status == "paid":
        return session, ()
    raise NotPayable(session)


async def pay_late(
    connection: AsyncConnection, session: Session, public_url: str
) -> tuple[Session, Sequence[Delivery]]:
    """Charge a session in whatever state it is, as late money does. Only the control plane can."""
    for _ in range(_TRIES):
        if session.payment_status == "paid":
            return session, ()
        paid = as_paid(session)
        of = events.paid_later if session.status == "complete" else events.completed
        deliveries = await transitions.pay_late(connection, paid, session.status, of(paid, public_url))
        if deliveries is not None:
            return paid, deliveries
        session = session_or_404(await sessions.get(connection, session.id), session.id)
    raise errors.api_error(409)


async def complete_unpaid(
    connection: AsyncConnection, session: Session, public_url: str
) -> tuple[Session, Sequence[Delivery]]:
    """Complete a session whose money has not come, as delayed payment methods do."""
    done = replace(session, status="complete", payment_intent=ids.payment_intent_id(session.id))
    deliveries = await transitions.complete_unpaid(connection, done, events.completed(done, public_url))
    if deliveries is None:
        raise NotPayable(session_or_404(await sessions.get(connection, session.id), session.id))
    return done, deliveries


async def decline(
    connection: AsyncConnection, session: Session, decline_code: str
) -> tuple[Session, Sequence[Delivery]]:
    """Record a declined attempt. The session stays open: the customer may try another card."""
    declined = replace(session, payment_intent=ids.payment_intent_id(session.id), decline_code=decline_code)
    deliveries = await transitions.decline(connection, declined, events.declined(declined))
    if deliveries is None:
        raise NotPayable(session_or_404(await sessions.get(connection, session.id), session.id))
    return declined, deliveries


async def expire(connection: AsyncConnection, session: Session, public_url: str) -> tuple[Session, Sequence[Delivery]]:
    """Close an open session for good. Raises `NotOpen` when it is complete or expired already."""
    expired = replace(session, status="expired")
    deliveries = await transitions.expire(connection, expired, events.expired(expired, public_url))
    if deliveries is None:
        raise NotOpen(session_or_404(await sessions.get(connection, session.id), session.id))
    return expired, deliveries


async def refund(
    connection: AsyncConnection,
    session: Session,
    amount: int | None,
    reason: str | None,
    metadata: dict[str, str],
) -> tuple[Refund, Sequence[Delivery]]:
    """Give money back; `amount` in minor units, None for all that is left. Raises `StripeError` (400)."""
    for _ in range(_TRIES):
        wanted = _refundable(session, amount)
        after = replace(session, amount_refunded=session.amount_refunded + wanted)
        identifier = ids.refund_id()
        deliveries = await transitions.refund(
            connection,
            after,
            events.refunded(after),
            seen=session.amount_refunded,
            amount=wanted,
            identifier=identifier,
            reason=reason,
            metadata=json.dumps(metadata),
        )
        if deliveries is not None:
            intent, charge = session.payment_intent or "", session.charge or ""
            return Refund(
                identifier, session.id, intent, charge, wanted, session.currency, reason, metadata, int(time())
            ), deliveries
        # Another refund came first: see what it left.
        session = session_or_404(await sessions.get(connection, session.id), session.id)
    raise errors.api_error(409)


def as_paid(session: Session) -> Session:
    return replace(
        session,
        status="complete",
        payment_status="paid",
        payment_intent=ids.payment_intent_id(session.id),
        charge=ids.charge_id(session.id),
        decline_code=None,
        paid_at=int(time()),
    )


def _refundable(session: Session, amount: int | None) -> int:
    if session.payment_status != "paid":
        raise errors.invalid_request(
            f"This PaymentIntent ({session.payment_intent}) does not have a successful charge to refund.",
            code="payment_intent_unexpected_state",
        )
    left = session.refundable
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
