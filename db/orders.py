"""Orders: opening them with their reservation, and every guarded transition of their life.

Each transition is one statement of the form `UPDATE … WHERE status = …` whose side effects (reservations, stock,
timeline) hang off the row it returns. Run twice, or in a race, the second finds no row and changes nothing; the
caller gets the order as it is. That is what makes every activity safe to repeat.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.contracts import OpenOrderInput
from checkout.currencies import money
from checkout.errors import (
    BeyondPaymentLimits,
    CannotFulfil,
    CheckoutError,
    MixedCurrencies,
    OrderNotFound,
    PriceChanged,
)
from checkout.ids import new_order_id
from checkout.limits import cart_fault, product_faults
from checkout.orders import CartLine, Order, OrderStatus, Reason
from checkout.payments import PaymentSession
from db.inventory import LockedProduct, lock_order_products, lock_products
from db.order_queries import COLUMNS, find_by_key, fold_email, get_order, order_of

_OPEN = text("""
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:skus AS text[]), CAST(:names AS text[]), CAST(:quantities AS int[]),
                             CAST(:unit_amounts AS bigint[]), CAST(:currencies AS text[]))
                 AS w(sku, name, quantity, unit_amount, currency)
    ), opened AS (
        INSERT INTO shop.orders (id, checkout_key, fingerprint, status, reason, missing_skus, email,
                                 email_folded, client, amount_total, currency, created_at, expires_at, event_count)
        VALUES (:id, :checkout_key, :fingerprint, :status, :reason, CAST(:missing_skus AS text[]), :email,
                :email_folded, :client, :amount_total, :currency, :opened_at, :expires_at, 1)
        ON CONFLICT (checkout_key) DO NOTHING
        RETURNING *
    ), lines AS (
        INSERT INTO shop.order_lines (order_id, sku, name, quantity, unit_amount, currency)
        SELECT opened.id, w.sku, w.name, w.quantity, w.unit_amount, w.currency FROM opened, wanted w
    ), taken AS (
        UPDATE shop.products p SET on_hand = p.on_hand - w.quantity
          FROM opened, wanted w WHERE p.sku = w.sku AND opened.status = 'pending'
    ), held AS (
        INSERT INTO shop.reservations (order_id, sku, quantity, state)
        SELECT opened.id, w.sku, w.quantity, 'held' FROM opened, wanted w WHERE opened.status = 'pending'
    ), moved AS (
        INSERT INTO shop.stock_movements (sku, delta, cause, order_id)
        SELECT w.sku, -w.quantity, 'reserve', opened.id FROM opened, wanted w WHERE opened.status = 'pending'
    ), told AS (
        INSERT INTO shop.order_events (order_id, seq, kind, data)
        SELECT id, 1, CASE status WHEN 'pending' THEN 'reserved' ELSE status END,
               jsonb_strip_nulls(jsonb_build_object('reason', reason, 'skus', missing_skus))
          FROM opened
    )
    SELECT * FROM opened
""")

_RECORD_SESSION = text(f"""
    WITH moved AS (
        UPDATE shop.orders
           SET status = 'awaiting_payment', payment_session_id = :session_id, payment_url = :url,
               simulator_url = :simulator_url, event_count = event_count + 1
         WHERE id = :order_id AND status = 'pending'
        RETURNING *
    ), told AS (
        INSERT INTO shop.order_events (order_id, seq, kind, data)
        SELECT id, event_count, 'awaiting_payment', jsonb_build_object('session_id', payment_session_id) FROM moved
    )
    SELECT {COLUMNS} FROM moved
""")

_FULFIL = text(f"""
    WITH moved AS (
        UPDATE shop.orders
           SET status = 'fulfilled', fulfilled_at = clock_timestamp(),
               dispatch_due_at = clock_timestamp() + CAST(:dispatch_duration AS interval),
               payment_intent_id = :payment_intent_id, event_count = event_count + 2
         WHERE id = :order_id AND status = 'awaiting_payment'
        RETURNING *
    ), consumed AS (
        UPDATE shop.reservations r SET state = 'consumed'
          FROM moved WHERE r.order_id = moved.id AND r.state = 'held'
        RETURNING r.sku
    ), told AS (
        INSERT INTO shop.order_events (order_id, seq, kind)
        SELECT id, event_count - 1, 'paid' FROM moved UNION ALL SELECT id, event_count, 'fulfilled' FROM moved
    )
    SELECT {COLUMNS},
           (SELECT string_agg(l.sku, ', ' ORDER BY l.sku) FROM shop.order_lines l
             WHERE l.order_id = moved.id AND l.sku NOT IN (SELECT sku FROM consumed)) AS unreserved
      FROM moved
""")

_CLOSE = text(f"""
    WITH moved AS (
        UPDATE shop.orders
           SET status = :status, reason = :reason, event_count = event_count + 1,
               payment_intent_id = coalesce(payment_intent_id, :payment_intent_id)
         WHERE id = :order_id AND status = ANY(CAST(:closes AS text[]))
        RETURNING *
    ), released AS (
        UPDATE shop.reservations r SET state = 'released'
          FROM moved WHERE r.order_id = moved.id AND r.state IN ('held', 'consumed')
        RETURNING r.order_id, r.sku, r.quantity
    ), returned AS (
        UPDATE shop.products p SET on_hand = p.on_hand + released.quantity FROM released WHERE p.sku = released.sku
    ), recorded AS (
        INSERT INTO shop.stock_movements (sku, delta, cause, order_id)
        SELECT sku, quantity, 'release', order_id FROM released
    ), told AS (
        INSERT INTO shop.order_events (order_id, seq, kind, data)
        SELECT id, event_count, status, jsonb_build_object('reason', reason) FROM moved
    )
    SELECT {COLUMNS} FROM moved
""")

_ANY_DUE = text("""
    SELECT EXISTS (SELECT 1 FROM shop.orders
                    WHERE status = 'fulfilled' AND dispatch_due_at <= clock_timestamp() - CAST(:overdue AS interval))
""")
# A row that another worker dispatches or an operator refunds just now is left to them: it is looked at again.
_DISPATCH_DUE = text("""
    WITH due AS (
        SELECT id FROM shop.orders
         WHERE status = 'fulfilled' AND dispatch_due_at <= clock_timestamp() - CAST(:overdue AS interval)
         ORDER BY dispatch_due_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE shop.orders o SET status = 'dispatched', event_count = event_count + 1
          FROM due WHERE o.id = due.id AND o.status = 'fulfilled'
        RETURNING o.id, o.event_count
    ), told AS (
        INSERT INTO shop.order_events (order_id, seq, kind) SELECT id, event_count, 'dispatched' FROM moved
    )
    SELECT count(*) FROM moved
""")


_OWE = text("""
    UPDATE shop.orders SET payment_intent_id = :payment_intent_id
     WHERE id = :order_id AND status = 'cancelled' AND payment_intent_id IS NULL
""")


async def open_order(connection: AsyncConnection, request: OpenOrderInput) -> Order:
    """Insert the order under its unique key and reserve every line, or reject it whole.

    A second call with the key, from a retry, a second run or a zombie, gets the order that is there, whatever has
    become of it: the row under the key is the tombstone. Raises `ProductNotFound` for a SKU that does not exist,
    `PriceChanged`, `MixedCurrencies` and `BeyondPaymentLimits`: whoever has looked at the cart before, the products as
    they are locked here are what counts.
    """
    quantities = {line.sku: line.quantity for line in request.lines}
    stock = await lock_products(connection, list(quantities))
    amount_total = sum(product.unit_amount * quantities[product.sku] for product in stock)
    try:
        _check_expected(stock, request.lines)
        _check_payable(stock, amount_total)
    except CheckoutError:
        existing = await find_by_key(connection, request.checkout_key)
        if existing is None:
            raise
        return existing
    withdrawn = [product.sku for product in stock if product.is_withdrawn]
    missing = withdrawn or [product.sku for product in stock if product.on_hand < quantities[product.sku]]
    inserted = (
        await connection.execute(
            _OPEN,
            {
                "id": new_order_id(),
                "checkout_key": request.checkout_key,
                "fingerprint": request.fingerprint,
                "status": OrderStatus.REJECTED if missing else OrderStatus.PENDING,
                "reason": Reason.WITHDRAWN if withdrawn else Reason.OUT_OF_STOCK if missing else None,
                "missing_skus": missing or None,
                "email": request.email,
                "email_folded": fold_email(request.email) if request.email is not None else None,
                "client": request.client,
                "amount_total": amount_total,
                "currency": stock[0].currency,
                "opened_at": request.opened_at,
                "expires_at": request.expires_at,
                "skus": [product.sku for product in stock],
                "names": [product.name for product in stock],
                "quantities": [quantities[product.sku] for product in stock],
                "unit_amounts": [product.unit_amount for product in stock],
                "currencies": [product.currency for product in stock],
            },
        )
    ).one_or_none()
    if inserted:
        return order_of(inserted)
    existing = await find_by_key(connection, request.checkout_key)
    if existing is None:
        raise OrderNotFound(f"The order of key {request.checkout_key} vanished")
    return existing


def _check_expected(stock: Sequence[LockedProduct], lines: Sequence[CartLine]) -> None:
    expected = {line.sku: line for line in lines}
    changed = [
        product
        for product in stock
        if expected[product.sku].expected_unit_amount not in (None, product.unit_amount)
        or expected[product.sku].expected_currency not in (None, product.currency)
    ]
    if changed:
        now = ", ".join(f"{product.name} costs {money(product.unit_amount, product.currency)}" for product in changed)
        raise PriceChanged(f"The price has changed: {now}")


def _check_payable(stock: Sequence[LockedProduct], amount_total: int) -> None:
    """One payment must do for all of it, and the payment service must take it."""
    if len({product.currency for product in stock}) > 1:
        sold = ", ".join(f"{product.sku} in {product.currency}" for product in stock)
        raise MixedCurrencies(f"All products of a cart must have one currency, and these are sold {sold}")
    for product in stock:
        faults = product_faults(product.name, product.unit_amount, product.currency)
        if faults:
            raise BeyondPaymentLimits(f"{product.sku} cannot be sold: {'; '.join(faults.values())}")
    fault = cart_fault(amount_total, stock[0].currency, len(stock))
    if fault is not None:
        raise BeyondPaymentLimits(f"This cart cannot be paid: {fault}")


async def record_session(connection: AsyncConnection, order_id: str, session: PaymentSession) -> Order:
    """pending → awaiting_payment. The answer's session may be another's: the first one recorded stays."""
    return await _transition(
        connection,
        _RECORD_SESSION,
        order_id,
        session_id=session.session_id,
        url=session.url,
        simulator_url=session.simulator_url,
    )


async def fulfil_order(
    connection: AsyncConnection, order_id: str, payment_intent_id: str | None, dispatch_duration: timedelta
) -> Order:
    """awaiting_payment → fulfilled, reservation held → consumed.

    Raises `CannotFulfil` for an order that lacks a reservation, naming both: no code makes one, so it is damage, and
    taking stock anew would hide it (docs/decisions/0021-a-missing-reservation-is-an-alarm.md).
    """
    parameters = {
        "order_id": order_id,
        "payment_intent_id": payment_intent_id,
        "dispatch_duration": dispatch_duration,
    }
    row = (await connection.execute(_FULFIL, parameters)).one_or_none()
    if row is None:
        return await get_order(connection, order_id)
    if row.unreserved:
        raise CannotFulfil(f"Order {order_id} is paid and has no reservation of {row.unreserved}")
    return order_of(row)


async def close_order(
    connection: AsyncConnection,
    order_id: str,
    status: OrderStatus,
    reason: Reason,
    *,
    closes: Sequence[OrderStatus],
    payment_intent_id: str | None = None,
) -> Order:
    """Move an order in one of the states `closes` to an end, returning what it held or had consumed to stock."""
    await lock_order_products(connection, order_id)
    return await _transition(
        connection,
        _CLOSE,
        order_id,
        status=status,
        reason=reason,
        closes=list(closes),
        payment_intent_id=payment_intent_id,
    )


async def owe(connection: AsyncConnection, order_id: str, payment_intent_id: str) -> None:
    """Write down that money came for a cancelled order: until it is refunded, the sweep looks after it like a live one,
    whatever becomes of the workflow that is giving it back."""
    await connection.execute(_OWE, {"order_id": order_id, "payment_intent_id": payment_intent_id})


async def is_any_due(connection: AsyncConnection, overdue: timedelta = timedelta(0)) -> bool:
    """Whether there is an order to dispatch: a look without a lock, for who asks again and again."""
    return bool((await connection.execute(_ANY_DUE, {"overdue": overdue})).scalar_one())


async def dispatch_due(connection: AsyncConnection, *, limit: int = 1_000, overdue: timedelta = timedelta(0)) -> int:
    """fulfilled → dispatched, for at most `limit` orders that are due, longest due first; answers how many.

    With `overdue`, only those that should have been dispatched that long ago.
    """
    return int((await connection.execute(_DISPATCH_DUE, {"limit": limit, "overdue": overdue})).scalar_one())


async def _transition(connection: AsyncConnection, statement: Any, order_id: str, **parameters: Any) -> Order:
    row = (await connection.execute(statement, {"order_id": order_id, **parameters})).one_or_none()
    return order_of(row) if row else await get_order(connection, order_id)
