"""Changing what is sold, and at what price. An order's lines hold what was agreed: no change here reaches one.

All changes go through functions of the schema, for the gateway's role may call them and otherwise change nothing.
"""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.errors import ProductNotFound

_PUT = text("SELECT shop.put_product(:sku, :name, :description, :image, :unit_amount, :currency)")
_SET_WITHDRAWN = text("SELECT shop.set_withdrawn(:sku, :is_withdrawn)")
_GET = text("""
    SELECT sku, name, description, image, unit_amount, currency, on_hand AS available, withdrawn_at IS NOT NULL
      FROM shop.products WHERE sku = :sku
""")


@dataclass(frozen=True)
class CatalogueEntry:
    """A product as the operator sees it: also one that is no longer sold. `unit_amount` in minor units."""

    sku: str
    name: str
    description: str
    image: str
    unit_amount: int
    currency: str
    available: int
    withdrawn: bool


async def get_entry(connection: AsyncConnection, sku: str) -> CatalogueEntry:
    """Raises `ProductNotFound`."""
    row = (await connection.execute(_GET, {"sku": sku})).one_or_none()
    if row is None:
        raise ProductNotFound([sku])
    return CatalogueEntry(*row)


async def put_product(
    connection: AsyncConnection,
    sku: str,
    *,
    name: str,
    description: str,
    image: str,
    unit_amount: int,
    currency: str,
) -> bool:
    """Change the product, or add it with nothing in stock; answers whether it is new."""
    product = {
        "sku": sku,
        "name": name,
        "description": description,
        "image": image,
        "unit_amount": unit_amount,
        "currency": currency,
    }
    return bool((await connection.execute(_PUT, product)).scalar_one())


async def set_withdrawn(connection: AsyncConnection, sku: str, is_withdrawn: bool) -> CatalogueEntry:
    """Take the product out of the shop, or put it back. Raises `ProductNotFound`."""
    await connection.execute(_SET_WITHDRAWN, {"sku": sku, "is_withdrawn": is_withdrawn})
    return await get_entry(connection, sku)
