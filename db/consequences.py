"""What follows from what is written of a payment: what is owed anew, how its order ends, when to ask again."""

from datetime import datetime, timedelta

from sqlalchemy import text

from checkout.ids import OWED_REFUND
from checkout.money import CLOSED_DISPUTES, MoneyState, RefundState, RequestedBy
from checkout.orders import OrderStatus, Reason
from db.book import Book
from db.orders import close_order
from db.standing import Entry

# Seconds. What stands open is asked for again after this long, then ever more rarely; anything new begins anew.
FIRST_LOOK, LONGEST_LOOK = 30.0, 3600.0

_LOOK_AT = text("""
    UPDATE shop.payments SET look_at = :look_at, looks = :looks, check_at = shop.next_check(at)
     WHERE payment_intent_id = :payment_intent_id
""")


async def drop_what_was_lost(book: Book) -> None:
    """Money that a bank has taken for good is not given back as well."""
    wanted = [one.refund for one in book.entries if one.refund.is_to_be_made]
    while wanted and book.left < 0:
        await book.end(wanted.pop(), RefundState.CANCELLED, "The payment was lost to a dispute")


async def ask_again(book: Book) -> None:
    """Enter anew what is owed: what failed or was cancelled after the provider had taken it, and whatever is left
    of a payment that is none of ours to keep. What failed before has to wait for its turn (`next_attempt`)."""
    if book.state is not MoneyState.PAID or book.is_disputed:
        return
    is_waiting = False
    for head in _to_be_made_again(book):
        one, pause = head.refund, pause_before(head.refund.attempt)
        if book.left <= 0:
            break
        if pause and head.changed_at + pause > book.now:
            is_waiting = True
            continue
        amount = min(one.amount, book.left)
        await book.ask(
            str(head.key), amount, one.requested_by, one.reason, attempt=one.attempt + 1, request=head.request
        )
    if not is_waiting and book.left > 0 and not book.may_keep:
        last = book.head(OWED_REFUND)
        attempt = last.refund.attempt + 1 if last else 1
        await book.ask(OWED_REFUND, book.left, RequestedBy.SHOP, Reason.LATE_PAYMENT, attempt=attempt)


def _to_be_made_again(book: Book) -> list[Entry]:
    """Wishes whose latest attempt the provider had taken, and then came to nothing."""
    return [head for head in book.heads() if head.refund.state.is_undone and head.refund.provider_refund_id is not None]


def next_attempt(book: Book) -> datetime | None:
    """When the first of what is owed again has its turn."""
    if book.state is not MoneyState.PAID or book.is_disputed or book.left <= 0:
        return None
    turns = [head.changed_at + pause_before(head.refund.attempt) for head in _to_be_made_again(book)]
    return min(turns, default=None)


async def finish_order(book: Book) -> None:
    """All of the money has been given back: the order ends as refunded. All of it is on its way back, and the order
    was never fulfilled: it ends as cancelled for now."""
    order = book.order
    if order is None or book.state is not MoneyState.PAID:
        return
    if book.succeeded == book.amount and order.status is not OrderStatus.REFUNDED:
        closes = [one for one in OrderStatus if one not in (OrderStatus.PENDING, OrderStatus.REFUNDED)]
        status = OrderStatus.REFUNDED
    elif order.status.is_live and book.refunded == book.amount and not book.to_make:
        closes, status = [OrderStatus.AWAITING_PAYMENT, OrderStatus.PAYMENT_PROCESSING], OrderStatus.CANCELLED
    else:
        return
    book.order = await close_order(
        book.connection,
        order.order_id,
        status,
        book.why_given_back,
        closes=closes,
        payment_intent_id=book.payment_intent_id,
    )


async def plan_next_look(book: Book) -> None:
    """When the provider is asked again by the sweep: soon, as long as something stands open; else only at the checks
    of the payment's first months (`shop.next_check`), of which this look stands for those that are past."""
    looks = 0 if book.is_changed else book.looks + 1
    pause = timedelta(seconds=min(FIRST_LOOK * 2 ** min(looks, 20), LONGEST_LOOK))
    is_open = (
        book.state is MoneyState.PROCESSING
        or any(one.refund.state is RefundState.PENDING for one in book.entries)
        or any(state not in CLOSED_DISPUTES for _, state in book.disputes.values())
        or (book.state is MoneyState.PAID and book.left > 0 and not book.may_keep and not book.is_disputed)
    )
    at = next_attempt(book)
    times = [*([book.now + pause] if is_open else []), *([at] if at else [])]
    given = {"payment_intent_id": book.payment_intent_id, "look_at": min(times, default=None), "looks": looks}
    await book.connection.execute(_LOOK_AT, given)


def pause_before(attempt: int) -> timedelta:
    """How long a refund that failed waits for its next attempt: the first time not at all, then ever longer."""
    return timedelta(seconds=min(FIRST_LOOK * 2 ** min(attempt - 2, 20), LONGEST_LOOK) if attempt > 1 else 0)
