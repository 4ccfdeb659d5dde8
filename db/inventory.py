"""The catalogue and its stock. `on_hand` is what can still be sold; every change of it has a movement.

Rows are locked in SKU order, always, so that two carts with the same products never deadlock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.errors import NotEnoughStock, ProductNotFound


@dataclass(frozen=True)
class LockedProduct:
    sku: str
    name: str
    unit_amount: int
    currency: str
    on_hand: int
    is_withdrawn: bool


_LOCK = text("""
    SELECT sku, name, unit_amount, currency, on_hand, withdrawn_at IS NOT NULL FROM shop.products
     WHERE sku = ANY(CAST(:skus AS text[])) ORDER BY sku FOR NO KEY UPDATE
""")
_LOCK_OF_ORDER = text("""
    SELECT 1 FROM shop.products
     WHERE sku IN (SELECT sku FROM shop.order_lines WHERE order_id = :order_id) ORDER BY sku FOR NO KEY UPDATE
""")
_KNOWN = text("SELECT sku, currency FROM shop.products WHERE sku = ANY(CAST(:skus AS text[]))")
# Functions, because the gateway's role may call them and otherwise change no stock (`db.roles`).
_RESTOCK = text("SELECT shop.restock(:sku, :quantity)")
_WRITE_OFF = text("SELECT shop.write_off(:sku, :quantity, :reason)")
_ON_HAND = text("SELECT on_hand FROM shop.products WHERE sku = :sku")


async def lock_products(connection: AsyncConnection, skus: Sequence[str]) -> list[LockedProduct]:
    """Lock the products in SKU order and read on what terms they are sold, and how many. Raises `ProductNotFound`."""
    rows = (await connection.execute(_LOCK, {"skus": list(skus)})).all()
    unknown = set(skus) - {row.sku for row in rows}
    if unknown:
        raise ProductNotFound(sorted(unknown))
    return [LockedProduct(*row) for row in rows]


async def lock_order_products(connection: AsyncConnection, order_id: str) -> None:
    """Lock the products of an order in SKU order, before stock goes back to them."""
    await connection.execute(_LOCK_OF_ORDER, {"order_id": order_id})


async def known_products(connection: AsyncConnection, skus: Iterable[str]) -> dict[str, str]:
    """The currency by SKU, of those SKUs that exist, sold or withdrawn."""
    rows: Any = await connection.execute(_KNOWN, {"skus": list(skus)})
    return {row.sku: row.currency for row in rows}


async def restock(connection: AsyncConnection, sku: str, quantity: int) -> int:
    """Add `quantity` to the stock and answer what is on hand now. Raises `ProductNotFound`."""
    on_hand = (await connection.execute(_RESTOCK, {"sku": sku, "quantity": quantity})).scalar_one_or_none()
    if on_hand is None:
        raise ProductNotFound([sku])
    return int(on_hand)


async def write_off(connection: AsyncConnection, sku: str, quantity: int, reason: str | None) -> int:
    """Take broken or lost goods out of the stock and answer what is on hand now.

    Raises `ProductNotFound`, and `NotEnoughStock`: what is reserved for orders cannot be written off.
    """
    written_off = {"sku": sku, "quantity": quantity, "reason": reason}
    on_hand = (await connection.execute(_WRITE_OFF, written_off)).scalar_one_or_none()
    if on_hand is not None:
        return int(on_hand)
    available = (await connection.execute(_ON_HAND, {"sku": sku})).scalar_one_or_none()
    if available is None:
        raise ProductNotFound([sku])
    raise NotEnoughStock(sku, int(available))
