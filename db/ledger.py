"""The money after the sale, written down: payments, refunds, disputes, each one row for an object of the provider.

What the provider says is a fact (`record`); what the shop wants given back is a row before it is asked (`owe`,
`db.refunds`). It is asked with no lock held: what was heard is dropped when the payment's `version` from before is no
longer the one here, so that an old answer is never written over a newer one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.errors import PaymentUnknown
from checkout.ids import OWED_REFUND
from checkout.orders import Order, Reason
from checkout.payments import ProviderDispute, ProviderPayment, ProviderRefund, Refund, RefundState, RequestedBy
from db.book import Book, open_book
from db.consequences import drop_what_was_lost, finish_order, owe_again, plan_next_look
from db.orders import name_payment

_VERSION = text("SELECT version FROM shop.payments WHERE payment_intent_id = :payment_intent_id")
_ENTER = text("""
    INSERT INTO shop.payments (payment_intent_id, order_id, amount, currency, state)
    VALUES (:payment_intent_id, :order_id, :amount, :currency, :state) ON CONFLICT DO NOTHING
""")
# By now(), which an index can be asked for: those with a check to come are nearly all payments of four months.
_DUE = text("""
    WITH due AS (
        (SELECT payment_intent_id, order_id, look_at AS at, false AS is_check FROM shop.payments
          WHERE look_at <= now() ORDER BY look_at LIMIT :limit)
        UNION ALL
        (SELECT payment_intent_id, order_id, check_at, true FROM shop.payments
          WHERE check_at <= now() AND (look_at IS NULL OR look_at > now()) ORDER BY check_at LIMIT :checks)
    )
    SELECT d.payment_intent_id, d.at AS look_at, o.status = 'payment_processing' AS is_awaited, o.id AS order_id,
           o.checkout_key
      FROM due d LEFT JOIN shop.orders o ON o.id = d.order_id ORDER BY d.is_check, d.at LIMIT :limit
""")
# Of payments of which nothing stands open: at most so many at a time, as nobody waits for them.
_CHECKS = 50
_KNOWS_REFUND = text("""
    SELECT EXISTS (SELECT 1 FROM shop.refunds WHERE provider_refund_id = :id AND state = :state
                      AND requires_action = :requires_action)
""")
_KNOWS_DISPUTE = text("SELECT EXISTS (SELECT 1 FROM shop.disputes WHERE id = :id AND state = :state)")
_KNOWS_REFUNDED = text("""
    SELECT coalesce(sum(amount), 0) = :amount FROM shop.refunds
     WHERE payment_intent_id = :payment_intent_id AND state IN ('pending', 'succeeded')
       AND provider_refund_id IS NOT NULL
""")


@dataclass(frozen=True)
class DuePayment:
    """A payment that somebody has to ask the provider about, and the order it is for, if it is for one. `is_awaited`:
    the order waits for it."""

    payment_intent_id: str
    look_at: datetime
    is_awaited: bool | None
    order_id: str | None
    checkout_key: str | None


async def version_of(connection: AsyncConnection, payment_intent_id: str) -> int | None:
    """To be read before the provider is asked (`record`). None for a payment that is not here."""
    version = await connection.scalar(_VERSION, {"payment_intent_id": payment_intent_id})
    return None if version is None else int(version)


async def enter_payment(connection: AsyncConnection, payment: ProviderPayment, order_id: str | None) -> None:
    """Enter the payment, unless the ledger has it. `order_id` is None for money that belongs to no order."""
    await connection.execute(_ENTER, vars(payment) | {"order_id": order_id})


async def owe(connection: AsyncConnection, payment: ProviderPayment, order_id: str | None, reason: Reason) -> Book:
    """Enter a payment that is not ours to keep, and a refund of all of it: once, however often this is called. Until
    the provider has made the refund, the sweep looks after it."""
    await enter_payment(connection, payment, order_id)
    book = await open_book(connection, payment.payment_intent_id)
    if book is None:  # another payment is the order's
        raise PaymentUnknown(f"Payment {payment.payment_intent_id} is not that of order {order_id}")
    if order_id is not None:
        await name_payment(connection, order_id, payment.payment_intent_id)
    await book.hear_of_payment(payment.state)
    last = book.latest_attempt(OWED_REFUND)
    if book.left > 0 and (last is None or last.was_never_taken):
        await book.enter_wish(OWED_REFUND, book.left, RequestedBy.SHOP, reason)
    await plan_next_look(book)
    return book


async def record(
    connection: AsyncConnection,
    version: int,
    payment: ProviderPayment,
    refunds: Sequence[ProviderRefund],
    disputes: Sequence[ProviderDispute],
) -> Book | None:
    """Enter all that the provider says of a payment, and what follows from it: refunds that failed are owed again, an
    order whose money has all been given back ends. In any order, twice, late: it comes to the same.

    None if anybody has written here since `version` was read: the provider has to be asked anew.
    """
    book = await open_book(connection, payment.payment_intent_id)
    if book is None or book.version != version:
        return None
    await book.hear_of_payment(payment.state)
    for refund in sorted(refunds, key=lambda one: not one.state.is_undone):  # what is undone makes room first
        await book.hear(refund)
    for dispute in disputes:
        await book.hear_of_dispute(dispute)
    await drop_what_was_lost(book)
    await owe_again(book)
    await finish_order(book)
    await plan_next_look(book)
    return book


async def record_made(
    connection: AsyncConnection, payment_intent_id: str, made: ProviderRefund
) -> tuple[Refund, Order | None]:
    """Enter the provider's answer to a refund that it was asked for. Returns the refund and its order."""
    book = await _own_book(connection, payment_intent_id)
    refund = await book.hear(made) or book.refunds[str(made.refund_id)]
    await finish_order(book)
    await plan_next_look(book)
    return refund, book.order


async def give_up(connection: AsyncConnection, refund: Refund, why: str) -> None:
    """Mark as failed a refund that the provider refused and does not have: no money has moved."""
    book = await _own_book(connection, refund.payment_intent_id)
    if any(one.id == refund.id for one in book.to_make):
        await book.end(refund, RefundState.FAILED, why)
        await plan_next_look(book)


async def put_off(connection: AsyncConnection, payment_intent_id: str) -> None:
    """Plan the next look at a payment that the provider does not know (it is another account's): ever more rarely."""
    book = await open_book(connection, payment_intent_id)
    if book is not None:
        await plan_next_look(book)


async def _own_book(connection: AsyncConnection, payment_intent_id: str) -> Book:
    book = await open_book(connection, payment_intent_id)
    assert book is not None, "it was asked for in this ledger"
    return book


async def due_payments(connection: AsyncConnection, limit: int) -> list[DuePayment]:
    """Payments of which something stands open, and which nobody has looked at for a while, longest first; and, as far
    as there is room, a few of those that are asked about without a reason (`shop.next_check`)."""
    rows = await connection.execute(_DUE, {"limit": limit, "checks": _CHECKS})
    return [DuePayment(**row._asdict()) for row in rows]


async def knows_refund(connection: AsyncConnection, refund_id: str, state: str, requires_action: bool) -> bool:
    """Whether the ledger has the provider's refund in this very state: nothing can be learnt from an event of it."""
    given = {"id": refund_id, "state": state, "requires_action": requires_action}
    return bool(await connection.scalar(_KNOWS_REFUND, given))


async def knows_dispute(connection: AsyncConnection, dispute_id: str, state: str) -> bool:
    return bool(await connection.scalar(_KNOWS_DISPUTE, {"id": dispute_id, "state": state}))


async def knows_refunded(connection: AsyncConnection, payment_intent_id: str, amount: int) -> bool:
    """Whether just so much of the payment is known to be given back or on its way."""
    given = {"payment_intent_id": payment_intent_id, "amount": amount}
    return bool(await connection.scalar(_KNOWS_REFUNDED, given))
