"""Opening an order: under its unique key, with its reservation and the terms agreed, or rejected whole.

One transaction decides: the products as it locks them are what counts, whoever has looked at the cart before.
"""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.contracts import OpenOrderInput
from checkout.errors import BeyondPaymentLimits, MixedCurrencies, PriceChanged, WrongCart
from checkout.ids import new_order_id
from checkout.money import cart_fault, money, product_faults
from checkout.orders import CartLine, Order, OrderStatus, Reason
from db.catalogue import Product, lock_products
from db.order_queries import find_by_key, fold_email, order_of

_OPEN = text("""
    WITH wanted AS (
        SELECT p.sku, p.name, w.quantity, p.unit_amount, p.currency
          FROM unnest(CAST(:skus AS text[]), CAST(:quantities AS int[])) AS w(sku, quantity)
          JOIN shop.products p ON p.sku = w.sku
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


async def open_order(connection: AsyncConnection, request: OpenOrderInput) -> Order:
    """Insert the order under its unique key and reserve every line, or reject it whole.

    A second call with the key, from a retry, a second run or a zombie, gets the order that is there, whatever has
    become of it: the row under the key is the tombstone. Raises the kinds of `WrongCart`.
    """
    quantities = {line.sku: line.quantity for line in request.lines}
    stock = await lock_products(connection, list(quantities))
    amount_total = sum(product.unit_amount * quantities[product.sku] for product in stock)
    try:
        _check_expected(stock, request.lines)
        _check_payable(stock, amount_total)
    except WrongCart:
        existing = await find_by_key(connection, request.checkout_key)
        if existing is None:
            raise
        return existing
    withdrawn = [product.sku for product in stock if product.withdrawn]
    missing = withdrawn or [product.sku for product in stock if product.available < quantities[product.sku]]
    given = vars(request) | {
        "id": request.order_id or new_order_id(),
        "status": OrderStatus.REJECTED if missing else OrderStatus.PENDING,
        "reason": Reason.WITHDRAWN if withdrawn else Reason.OUT_OF_STOCK if missing else None,
        "missing_skus": missing or None,
        "email_folded": fold_email(request.email) if request.email is not None else None,
        "amount_total": amount_total,
        "currency": stock[0].currency,
        "skus": [product.sku for product in stock],
        "quantities": [quantities[product.sku] for product in stock],
    }
    inserted = (await connection.execute(_OPEN, given)).one_or_none()
    if inserted:
        return order_of(inserted)
    existing = await find_by_key(connection, request.checkout_key)
    if existing is None:
        raise RuntimeError(f"The order of key {request.checkout_key} vanished")  # asked again, it is opened
    return existing


def _check_expected(stock: Sequence[Product], lines: Sequence[CartLine]) -> None:
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


def _check_payable(stock: Sequence[Product], amount_total: int) -> None:
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
