"""The catalogue for those who look, and what an operator does to products and their stock. However many tabs are open,
they share a few connections that no checkout waits for, and what they ask for at the same time is read once."""

from sqlalchemy.ext.asyncio import AsyncEngine

from api.problems import invalid
from api.schemas import Available, CatalogueProduct, ProductIn, Restock, WriteOff
from checkout.currencies import product_faults
from db import catalogue
from db.catalogue import Selection, Shelf
from db.engine import transaction
from runtime.failpoints import Step

READERS = 2  # connections, whoever looks: `engine` has no more


async def read_shelf(engine: AsyncEngine, selection: Selection) -> Shelf:
    async with engine.connect() as connection:
        return await catalogue.shelf(connection, selection)


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
