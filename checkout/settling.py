"""What follows from the payment service's word: the one rule, which ARCHITECTURE.md shows as a table.

The provider is the authority on money. A webhook, a deadline or a wish to cancel are only reasons to ask it. Stock goes
back only once it has said that the session can no longer be paid.
"""

from dataclasses import dataclass

from checkout.orders import Order, OrderStatus, Reason
from checkout.sessions import ProviderSession, SessionStatus


@dataclass(frozen=True)
class Fulfil:
    """The payment is the one agreed: hand out the goods. Without a payment intent, no money moved."""

    payment_intent_id: str | None


@dataclass(frozen=True)
class AwaitBank:
    """The customer has ordered a payment that takes days: keep the stock for it, and do not let anybody give up."""

    payment_intent_id: str | None


@dataclass(frozen=True)
class Release:
    """Nobody can pay any more: end the order and return its stock."""

    reason: Reason


@dataclass(frozen=True)
class Refund:
    """Money came that is not ours to keep: give it back, once."""

    payment_intent_id: str
    reason: Reason


@dataclass(frozen=True)
class Close:
    """Nobody shall pay: expire the session at the provider, which then has another word on it."""

    session_id: str


@dataclass(frozen=True)
class Wait:
    """Undecided: the stock stays held, and the provider is asked again."""


@dataclass(frozen=True)
class Nothing:
    """It is as it should be."""


Decision = Fulfil | AwaitBank | Release | Refund | Close | Wait | Nothing


def decide(order: Order | None, session: ProviderSession | None, closing: Reason | None = None) -> Decision:
    """What to do about `order`, now that the provider has said `session`.

    `order` is None when the session belongs to none of ours, `session` when the provider did not answer or refused to.
    `closing` says why the order is to end, if it is: its deadline has passed, or somebody gave it up.
    """
    if session is None:
        return Wait() if order is not None and order.status.is_live else Nothing()
    if order is None or not order.owns(session.session_id):
        return _unwanted(session)
    if is_sale_over(order):
        return Nothing()
    if not order.status.is_live:
        return _unwanted(session)
    if session.is_free:
        return Release(Reason.PAYMENT_MISMATCH)  # every order has a price: this is no session as we opened it
    if session.paid:
        return _paid(order, session)
    match session.status:
        case SessionStatus.EXPIRED:
            # Closed at the provider before our deadline: the customer left through its page.
            return Release(closing or Reason.CUSTOMER)
        case SessionStatus.COMPLETE:
            return _under_way(order, session, closing)
        case SessionStatus.OPEN:
            # A declined card is not an end: the session stays open, and another card may do.
            return Close(session.session_id) if closing else Wait()


def is_sale_over(order: Order) -> bool:
    """It was paid, and the money is kept or was given back: no word on its session changes that. What becomes of the
    money, the ledger follows (`db.ledger`)."""
    return order.status.is_kept or order.status is OrderStatus.REFUNDED


def is_no_news(order: Order, event_type: str) -> bool:
    """Whether the order already is what an event of its session tells (Stripe's `type`): nobody need be asked."""
    if event_type == "checkout.session.expired":
        return order.status in (OrderStatus.CANCELLED, OrderStatus.REFUNDED)
    return order.status.is_kept


def _under_way(order: Order, session: ProviderSession, closing: Reason | None) -> Decision:
    """The money is on its way, for days perhaps, and nobody can call it back. It comes to nothing when the bank says
    so, or when it has had all the time it may take; money that comes all the same is given back."""
    if session.has_failed:
        return Release(Reason.PAYMENT_FAILED)
    if order.status is not OrderStatus.PAYMENT_PROCESSING or closing not in (None, Reason.TIMEOUT):
        # One of another amount is entered when it has come, as what it is, to be given back.
        return AwaitBank(session.payment_intent_id if _is_as_agreed(order, session) else None)
    return Release(closing) if closing else Wait()


def _paid(order: Order, session: ProviderSession) -> Decision:
    if _is_as_agreed(order, session):
        return Fulfil(session.payment_intent_id)
    # Something else was paid than was agreed. What names no payment cannot be given back by us (the step told of it).
    if session.payment_intent_id is None:
        return Release(Reason.PAYMENT_MISMATCH)
    return Refund(session.payment_intent_id, Reason.PAYMENT_MISMATCH)


def _is_as_agreed(order: Order, session: ProviderSession) -> bool:
    """Whether the payment is for this order, of this amount, in this currency."""
    agreed = (order.order_id, order.amount_total, order.currency)
    return (session.order_id, session.amount_total, session.currency) == agreed


def _unwanted(session: ProviderSession) -> Decision:
    """The order has ended without this payment, or there never was an order for it."""
    if session.paid and session.payment_intent_id is not None:
        return Refund(session.payment_intent_id, Reason.LATE_PAYMENT)
    return Close(session.session_id) if session.status is SessionStatus.OPEN else Nothing()
