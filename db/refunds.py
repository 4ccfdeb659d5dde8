"""What somebody of the shop wants given back: entered before the provider is asked, once for a key, with the payment
locked, so that all that is asked for adds up to no more than was paid (as the table's own trigger has it)."""

import hashlib
import json
from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.contracts import RefundOrderInput
from checkout.errors import KeyReused, NotRefundable, RefundExceedsPayment, RefundLinesExceedOrder
from checkout.ids import WHOLE_REFUND
from checkout.money import money
from checkout.orders import OrderStatus
from checkout.payments import PaymentState, Refund, RefundState, RequestedBy
from db.book import Book, open_book
from db.consequences import plan_next_look
from db.order_queries import COUNTED_LINES, get_order

# What of each line can still be refunded, and what one of it cost. Goods that came back when all of the money was given
# back once cannot be refunded again.
_LINES = text(f"""
    SELECT l.sku, l.unit_amount,
           CASE WHEN v.state = 'consumed' THEN l.quantity - coalesce(sum(r.quantity), 0) ELSE 0 END AS left
      FROM shop.order_lines l
      LEFT JOIN shop.reservations v ON v.order_id = l.order_id AND v.sku = l.sku
      LEFT JOIN {COUNTED_LINES} r ON r.order_id = l.order_id AND r.sku = l.sku
     WHERE l.order_id = :order_id GROUP BY l.sku, l.unit_amount, l.quantity, v.state
""")
_REQUEST = text("SELECT request FROM shop.refunds WHERE order_id = :order_id AND request_key = :key LIMIT 1")
_INSERT_LINES = text("""
    INSERT INTO shop.refund_lines (refund_id, sku, quantity, restock)
    SELECT :refund_id, sku, quantity, :restock
      FROM unnest(CAST(:skus AS text[]), CAST(:quantities AS int[])) AS w(sku, quantity) ORDER BY sku
""")


async def request_refund(connection: AsyncConnection, wanted: RefundOrderInput) -> Refund:
    """Enter the refund, or find what the key has already led to; the latest attempt of it, if there were several.

    Raises `OrderNotFound`, `NotRefundable` (not paid, all of it given back or on its way, disputed), its kinds
    `RefundExceedsPayment` and `RefundLinesExceedOrder`, and `KeyReused` for a key that stands for another wish.
    """
    order = await get_order(connection, wanted.order_id)
    book = await open_book(connection, order.payment_intent_id) if order.payment_intent_id else None
    if book is None or book.order is None:
        raise NotRefundable(f"There is no payment to give back: the order is {order.status}")
    head = book.latest_attempt(wanted.key)
    if head is not None:
        _check_same_wish(wanted, head.request)
        if not _may_be_asked_anew(book, head, wanted):
            return head
    _check_refundable(book)
    rows = await connection.execute(_LINES, {"order_id": wanted.order_id})
    left_of_lines = {row.sku: (row.left, row.unit_amount) for row in rows}
    goods = _goods(wanted, left_of_lines)
    amount = _amount(wanted, book, left_of_lines)
    refund = await book.enter_wish(wanted.key, amount, RequestedBy.OPERATOR, wanted.reason, _digest(wanted))
    if goods:
        named = {"refund_id": refund.id, "skus": list(goods), "quantities": list(goods.values())}
        await connection.execute(_INSERT_LINES, named | {"restock": wanted.restock is not False})
    await plan_next_look(book)
    return refund


async def check_wish(connection: AsyncConnection, wanted: RefundOrderInput) -> None:
    """Raises `KeyReused` when the key stands for another wish than this one."""
    row = (await connection.execute(_REQUEST, {"order_id": wanted.order_id, "key": wanted.key})).first()
    if row is not None:
        _check_same_wish(wanted, row.request)


def _check_same_wish(wanted: RefundOrderInput, request: str | None) -> None:
    if wanted.key != WHOLE_REFUND and request != _digest(wanted):
        raise KeyReused("This key stands for another refund")


def _may_be_asked_anew(book: Book, head: Refund, wanted: RefundOrderInput) -> bool:
    """The provider had refused it; or all of it is wanted again, and by now something is left (again)."""
    is_all_wanted = wanted.key == WHOLE_REFUND and book.left > 0
    if head.was_never_taken:  # not FAILED means CANCELLED: another refund took its place
        return head.state is RefundState.FAILED or is_all_wanted
    return is_all_wanted and head.state is RefundState.SUCCEEDED


def _check_refundable(book: Book) -> None:
    assert book.order is not None, "of an order's own payment"
    if not book.order.status.is_kept and book.order.status is not OrderStatus.REFUNDED:
        raise NotRefundable(f"There is no payment to give back: the order is {book.order.status}")
    if book.state is not PaymentState.PAID:
        raise NotRefundable("There is no payment to give back: it has not arrived")
    if book.is_disputed:
        raise NotRefundable("The payment is disputed, or was lost to a dispute: the bank decides about it")
    if book.left <= 0:
        raise NotRefundable("All of the payment is given back or on its way")


def _goods(wanted: RefundOrderInput, lines: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """How many are refunded of which line, by SKU."""
    if wanted.lines is None:
        return {} if wanted.amount is not None else {sku: left for sku, (left, _) in lines.items() if left > 0}
    goods = {line.sku: line.quantity for line in wanted.lines}
    for sku, quantity in goods.items():
        left = lines[sku][0] if sku in lines else 0
        if quantity > left:
            raise RefundLinesExceedOrder(f"{quantity} of {sku} are too many: {left} were bought and not refunded yet")
    return goods


def _amount(wanted: RefundOrderInput, book: Book, lines: Mapping[str, tuple[int, int]]) -> int:
    amount = wanted.amount if wanted.amount is not None else book.left
    if wanted.lines is not None:
        amount = sum(line.quantity * lines[line.sku][1] for line in wanted.lines)
    if amount > book.left:
        left = money(book.left, book.currency)
        raise RefundExceedsPayment(f"{money(amount, book.currency)} is more than is left of the payment: {left}")
    return amount


def _digest(wanted: RefundOrderInput) -> str:
    lines = sorted((line.sku, line.quantity) for line in wanted.lines) if wanted.lines is not None else None
    body = [wanted.amount, lines, wanted.restock, wanted.reason]
    return hashlib.sha256(json.dumps(body).encode()).hexdigest()
