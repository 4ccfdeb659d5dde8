"""The catalogue as it is read (a page of it, a search in it, certain products) and as it is changed.

All changes go through functions of the schema, for the gateway's role may call them and otherwise change nothing. An
order's lines hold what was agreed: no change here reaches one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.errors import ProductNotFound


@dataclass(frozen=True)
class Product:
    """A product as the storefront shows it. `available` can be sold now; `unit_amount` in minor units."""

    sku: str
    name: str
    description: str
    image: str
    unit_amount: int
    currency: str
    available: int


@dataclass(frozen=True)
class CatalogueEntry(Product):
    """A product as the operator sees it: also one that is no longer sold."""

    withdrawn: bool


_COLUMNS = "p.sku, p.name, p.description, p.image, p.unit_amount, p.currency, p.on_hand AS available"
_SOME = text(f"""
    SELECT {_COLUMNS} FROM shop.products p
     WHERE sku = ANY(CAST(:skus AS text[])) AND withdrawn_at IS NULL ORDER BY position, sku
""")
_GET = text(f"SELECT {_COLUMNS}, p.withdrawn_at IS NOT NULL FROM shop.products p WHERE sku = :sku")
_PUT = text("SELECT shop.put_product(:sku, :name, :description, :image, :unit_amount, :currency)")
_SET_WITHDRAWN = text("SELECT shop.set_withdrawn(:sku, :is_withdrawn)")
# As the index `products_words` has it.
_MATCHES = "shop.words_of(p.sku, p.name, p.description) @@ to_tsquery('simple', :words)"
_SOLD = "p.withdrawn_at IS NULL"
_AFTER = "(p.position, p.sku) > (SELECT c.position, c.sku FROM shop.products c WHERE c.sku = :after)"


async def shelf(
    connection: AsyncConnection,
    *,
    search: str | None = None,
    after: str | None = None,
    offset: int = 0,
    limit: int,
    sold_only: bool = True,
) -> list[Product]:
    """Products in the shop's order: those that have a word beginning with each word of `search`, that come behind the
    SKU `after`, and behind `offset` others. Those that were withdrawn are among them unless `sold_only`."""
    conditions = [_SOLD] if sold_only else []
    conditions += [_MATCHES] if search else []
    conditions += [_AFTER] if after else []
    statement = (
        f"SELECT {_COLUMNS} FROM shop.products p {'WHERE ' if conditions else ''}{' AND '.join(conditions)}"
        " ORDER BY p.position, p.sku OFFSET :offset LIMIT :limit"
    )
    parameters: dict[str, object] = {"offset": offset, "limit": limit}
    parameters |= {"words": _query_of(search)} if search else {}
    parameters |= {"after": after} if after else {}
    return [Product(*row) for row in await connection.execute(text(statement), parameters)]


async def look(connection: AsyncConnection) -> None:
    """Raises, like every statement, when there is no shop to read."""
    await connection.execute(text("SELECT 1 FROM shop.products LIMIT 1"))


async def products_of(connection: AsyncConnection, skus: Sequence[str]) -> list[Product]:
    """Those of the SKUs that are sold, in the shop's order."""
    return [Product(*row) for row in await connection.execute(_SOME, {"skus": list(skus)})]


def _query_of(search: str) -> str:
    """`"desk la"` → `desk:* & la:*`; without any word a query that finds nothing."""
    return " & ".join(f"{word}:*" for word in re.findall(r"[^\W_]+", search))


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
