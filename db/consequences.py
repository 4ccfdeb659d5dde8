"""What follows from what is written of a payment: what is owed anew, how its order ends, when to ask again."""

from datetime import datetime, timedelta

from sqlalchemy import text

from checkout.ids import OWED_REFUND
from checkout.orders import OrderStatus, Reason
from checkout.payments import CLOSED_DISPUTES, PaymentState, Refund, RefundState, RequestedBy
from db.book import Book
from db.orders import close_order

# Seconds. What stands open is asked for again after this long, then ever more rarely; anything new begins anew.
FIRST_LOOK, LONGEST_LOOK = 30.0, 3600.0

_LOOK_AT = text("""
    UPDATE shop.payments SET look_at = :look_at, looks = :looks, check_at = shop.next_check(at)
     WHERE payment_intent_id = :payment_intent_id
""")


async def drop_what_was_lost(book: Book) -> None:
    """Cancel wanted refunds of money that a bank has taken for good."""
    wanted = book.to_make
    while wanted and book.left < 0:
        await book.end(wanted.pop(), RefundState.CANCELLED, "The payment was lost to a dispute")


async def owe_again(book: Book) -> None:
    """Enter anew what is owed: what failed or was cancelled after the provider had taken it, and whatever is left
    of a payment that is none of ours to keep. What failed before has to wait for its turn (`plan_next_look`)."""
    if book.state is not PaymentState.PAID or book.is_disputed:
        return
    is_waiting = False
    for head in _to_be_made_again(book):
        if book.left <= 0:
            break
        if head.attempt > 1 and _turn_of(head) > book.now:
            is_waiting = True
            continue
        key, amount = str(head.request_key), min(head.amount, book.left)
        await book.enter_wish(key, amount, head.requested_by, head.reason, head.request)
    if not is_waiting and book.left > 0 and not book.may_keep:
        await book.enter_wish(OWED_REFUND, book.left, RequestedBy.SHOP, Reason.LATE_PAYMENT)


async def finish_order(book: Book) -> None:
    """End the order as refunded once all of its money has been given back; as cancelled, for now, if all of it is on
    its way back and the order was never fulfilled."""
    order = book.order
    if order is None or book.state is not PaymentState.PAID:
        return
    if book.succeeded == book.amount and order.status is not OrderStatus.REFUNDED:
        leaving = [one for one in OrderStatus if one not in (OrderStatus.PENDING, OrderStatus.REFUNDED)]
        status = OrderStatus.REFUNDED
    elif order.status.is_live and book.refunded == book.amount and not book.to_make:
        leaving, status = [OrderStatus.AWAITING_PAYMENT, OrderStatus.PAYMENT_PROCESSING], OrderStatus.CANCELLED
    else:
        return
    # By the shop's rule, else because somebody wanted it.
    told = [one.reason for one in book.refunds.values() if one.requested_by is RequestedBy.SHOP]
    reason = Reason(told[0]) if told and told[0] in set(Reason) else Reason.OPERATOR
    payment = book.payment_intent_id
    book.order = await close_order(
        book.connection, order.order_id, status, reason, leaving=leaving, payment_intent_id=payment
    )


async def plan_next_look(book: Book) -> None:
    """When the provider is asked again by the sweep: soon, as long as something stands open, or when the first of what
    is owed again has its turn; else only at the checks of the payment's first months (`shop.next_check`); this look
    counts as every check whose date has passed."""
    looks = 0 if book.is_changed else book.looks + 1
    is_ours_to_make = book.state is PaymentState.PAID and book.left > 0 and not book.is_disputed
    times = [_turn_of(head) for head in _to_be_made_again(book)] if is_ours_to_make else []
    if (
        book.state is PaymentState.PROCESSING
        or any(one.state is RefundState.PENDING for one in book.refunds.values())
        or any(state not in CLOSED_DISPUTES for _, state in book.disputes.values())
        or (is_ours_to_make and not book.may_keep)
    ):
        times.append(book.now + _pause(looks))
    given = {"payment_intent_id": book.payment_intent_id, "look_at": min(times, default=None), "looks": looks}
    await book.connection.execute(_LOOK_AT, given)


def _to_be_made_again(book: Book) -> list[Refund]:
    """Wishes whose latest attempt the provider had taken, and then came to nothing."""
    heads = [one for one in book.refunds.values() if one is book.latest_attempt(one.request_key)]
    return [head for head in heads if head.state.is_undone and head.provider_refund_id is not None]


def _turn_of(failed: Refund) -> datetime:
    """When its next attempt is made: that of the first one at once."""
    assert failed.changed_at is not None, "as the database has it"
    return failed.changed_at + (_pause(failed.attempt - 2) if failed.attempt > 1 else timedelta(0))


def _pause(doublings: int) -> timedelta:
    return timedelta(seconds=min(FIRST_LOOK * 2 ** min(doublings, 20), LONGEST_LOOK))
