"""The catalogue for those who look, and what an operator does to products and their stock. However many tabs are open,
they share a few connections that no checkout waits for, and what they ask for at the same time is read once."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from api.problems import invalid
from api.schemas import Available, CatalogueProduct, ProductIn, Restock, WriteOff
from api.waiting import Shared
from checkout.currencies import product_faults
from db import catalogue
from db.catalogue import Product
from db.engine import autocommit, transaction
from runtime.failpoints import Step

READERS = 2  # connections, whoever looks: `engine` has no more


@dataclass(frozen=True)
class Shelf:
    """A stretch of the catalogue; `has_more` behind it."""

    products: list[Product]
    has_more: bool


class Catalogue:
    """Wants an engine of its own for the life of the process."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._reads = autocommit(engine)
        self._shelves: Shared[Shelf] = Shared()

    async def shelf(
        self,
        *,
        search: str | None = None,
        after: str | None = None,
        offset: int = 0,
        limit: int,
        sold_only: bool = True,
    ) -> Shelf:
        """See `db.catalogue.shelf`."""

        async def read() -> Shelf:
            async with self._reads.connect() as connection:
                found = await catalogue.shelf(
                    connection, search=search, after=after, offset=offset, limit=limit + 1, sold_only=sold_only
                )
            return Shelf(found[:limit], len(found) > limit)

        return await self._shelves.get((search, after, offset, limit, sold_only), read)

    async def products_of(self, skus: list[str]) -> Shelf:
        async def read() -> Shelf:
            async with self._reads.connect() as connection:
                return Shelf(await catalogue.products_of(connection, skus), has_more=False)

        return await self._shelves.get(tuple(sorted(skus)), read)


async def restock(engine: AsyncEngine, wanted: Restock) -> Available:
    """Add to the stock. Raises `ProductNotFound`."""
    async with transaction(engine, Step.CHANGE_STOCK) as connection:
        available = await catalogue.restock(connection, wanted.sku, wanted.quantity)
    return Available(sku=wanted.sku, available=available)


async def write_off(engine: AsyncEngine, wanted: WriteOff) -> Available:
    """Take broken or lost goods out of the stock. Raises `ProductNotFound` and `NotEnoughStock`."""
    async with transaction(engine, Step.CHANGE_STOCK) as connection:
        available = await catalogue.write_off(connection, wanted.sku, wanted.quantity, wanted.reason)
    return Available(sku=wanted.sku, available=available)


async def put_product(engine: AsyncEngine, sku: str, product: ProductIn) -> tuple[CatalogueProduct, bool]:
    """The product as it now is, and whether it is new. Raises a 422 `Problem` for one that could not be paid."""
    if faults := product_faults(product.name, product.unit_amount, product.currency):
        raise invalid([{"field": field, "message": message} for field, message in faults.items()])
    async with transaction(engine, Step.CHANGE_CATALOGUE) as connection:
        entry, is_new = await catalogue.put_product(connection, sku, product.model_dump())
    return CatalogueProduct(**vars(entry)), is_new


async def set_withdrawn(engine: AsyncEngine, sku: str, *, withdrawn: bool) -> CatalogueProduct:
    """Take the product out of the shop or put it back; repeated, nothing changes. Raises `ProductNotFound`."""
    async with transaction(engine, Step.CHANGE_CATALOGUE) as connection:
        return CatalogueProduct(**vars(await catalogue.set_withdrawn(connection, sku, withdrawn)))
