"""The catalogue and its stock: as it is read, locked and changed. `on_hand` is what can still be sold.

An operator's changes go through functions of the schema, for the gateway's role may call them and otherwise change
nothing; each change of stock has a movement. An order's lines hold what was agreed: no change here reaches one. Rows
are locked in SKU order, always, so that two carts with the same products never deadlock.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.errors import NotEnoughStock, ProductNotFound


@dataclass(frozen=True)
class Product:
    """`available` can be sold now, unless the product is `withdrawn`; `unit_amount` in minor units."""

    sku: str
    name: str
    description: str
    image: str
    unit_amount: int
    currency: str
    available: int
    withdrawn: bool


@dataclass(frozen=True)
class Selection:
    """Which products: `skus`, or those that have a word beginning with each word of `search`; behind the SKU `after`,
    and behind `offset` others. Those that were withdrawn are among them unless `sold_only`."""

    limit: int
    skus: tuple[str, ...] = ()
    search: str | None = None
    after: str | None = None
    offset: int = 0
    sold_only: bool = True


@dataclass(frozen=True)
class Shelf:
    """A stretch of the catalogue, in the shop's order; `has_more` behind it."""

    products: list[Product]
    has_more: bool


_PRODUCTS = """
    SELECT p.sku, p.name, p.description, p.image, p.unit_amount, p.currency, p.on_hand, p.withdrawn_at IS NOT NULL
      FROM shop.products p
"""
_LOCK = text(f"{_PRODUCTS} WHERE sku = ANY(CAST(:skus AS text[])) ORDER BY sku FOR NO KEY UPDATE")
_LOCK_OF_ORDER = text("""
    SELECT 1 FROM shop.products
     WHERE sku IN (SELECT sku FROM shop.order_lines WHERE order_id = :order_id) ORDER BY sku FOR NO KEY UPDATE
""")
_RESTOCK = text("SELECT shop.restock(:sku, :quantity)")
_WRITE_OFF = text("SELECT shop.write_off(:sku, :quantity, :reason)")
_PUT = text("SELECT shop.put_product(:sku, :name, :description, :image, :unit_amount, :currency)")
_SET_WITHDRAWN = text("SELECT shop.set_withdrawn(:sku, :is_withdrawn)")


async def shelf(connection: AsyncConnection, selection: Selection) -> Shelf:
    parameters: dict[str, object] = {"offset": selection.offset, "limit": selection.limit + 1}
    conditions = ["p.withdrawn_at IS NULL" if selection.sold_only else "true"]
    if selection.skus:
        conditions.append("p.sku = ANY(CAST(:skus AS text[]))")
        parameters["skus"] = list(selection.skus)
    if selection.search:  # as the index `products_words` has it
        conditions.append("shop.words_of(p.sku, p.name, p.description) @@ to_tsquery('simple', :words)")
        # `"desk la"` → `desk:* & la:*`; without any word a query that finds nothing.
        parameters["words"] = " & ".join(f"{word}:*" for word in re.findall(r"[^\W_]+", selection.search))
    if selection.after:
        here = "SELECT c.position, c.sku FROM shop.products c WHERE c.sku = :after"
        conditions.append(f"(p.position, p.sku) > ({here})")
        parameters["after"] = selection.after
    where = " AND ".join(conditions)
    statement = text(f"{_PRODUCTS} WHERE {where} ORDER BY p.position, p.sku OFFSET :offset LIMIT :limit")
    found = [Product(*row) for row in await connection.execute(statement, parameters)]
    return Shelf(found[: selection.limit], len(found) > selection.limit)


async def look(connection: AsyncConnection) -> None:
    """Read a product, to see whether that works: raises what any statement raises."""
    await connection.execute(text("SELECT 1 FROM shop.products LIMIT 1"))


async def get_product(connection: AsyncConnection, sku: str) -> Product:
    """Sold or withdrawn. Raises `ProductNotFound`."""
    found = (await shelf(connection, Selection(1, skus=(sku,), sold_only=False))).products
    if not found:
        raise ProductNotFound([sku])
    return found[0]


async def known_products(connection: AsyncConnection, skus: Sequence[str]) -> dict[str, str]:
    """The currency by SKU, of those SKUs that exist, sold or withdrawn."""
    found = await shelf(connection, Selection(len(skus), skus=tuple(skus), sold_only=False))
    return {product.sku: product.currency for product in found.products}


async def lock_products(connection: AsyncConnection, skus: Sequence[str]) -> list[Product]:
    """Sold or withdrawn, in SKU order. Raises `ProductNotFound`."""
    products = [Product(*row) for row in (await connection.execute(_LOCK, {"skus": list(skus)})).all()]
    if unknown := set(skus) - {product.sku for product in products}:
        raise ProductNotFound(sorted(unknown))
    return products


async def lock_order_products(connection: AsyncConnection, order_id: str) -> None:
    """Lock the products of the order's lines, in SKU order: to be done before stock is returned to them."""
    await connection.execute(_LOCK_OF_ORDER, {"order_id": order_id})


async def restock(connection: AsyncConnection, sku: str, quantity: int) -> int:
    """Add `quantity` to the stock. Returns what is on hand now. Raises `ProductNotFound`."""
    on_hand = (await connection.execute(_RESTOCK, {"sku": sku, "quantity": quantity})).scalar_one_or_none()
    if on_hand is None:
        raise ProductNotFound([sku])
    return int(on_hand)


async def write_off(connection: AsyncConnection, sku: str, quantity: int, reason: str | None) -> int:
    """Take broken or lost goods out of the stock. Returns what is on hand now.

    Raises `ProductNotFound`, and `NotEnoughStock`: what is reserved for orders cannot be written off.
    """
    written_off = {"sku": sku, "quantity": quantity, "reason": reason}
    on_hand = (await connection.execute(_WRITE_OFF, written_off)).scalar_one_or_none()
    if on_hand is None:
        raise NotEnoughStock(sku, (await get_product(connection, sku)).available)
    return int(on_hand)


async def put_product(connection: AsyncConnection, sku: str, product: Mapping[str, object]) -> tuple[Product, bool]:
    """Change the product's name, description, image, unit_amount and currency, or add it with nothing in stock.
    Returns it as it now is, and whether it is new."""
    is_new = bool((await connection.execute(_PUT, {"sku": sku, **product})).scalar_one())
    return await get_product(connection, sku), is_new


async def set_withdrawn(connection: AsyncConnection, sku: str, is_withdrawn: bool) -> Product:
    """Take the product out of the shop, or put it back. Raises `ProductNotFound`."""
    await connection.execute(_SET_WITHDRAWN, {"sku": sku, "is_withdrawn": is_withdrawn})
    return await get_product(connection, sku)
