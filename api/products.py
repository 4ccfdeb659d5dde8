"""What an operator does to products and their stock: called by the JSON routes and by the console alike."""

from api.problems import invalid
from api.schemas import Available, CatalogueProduct, ProductIn, Restock, WriteOff
from api.state import Gateway
from checkout.limits import product_faults
from db import inventory, products
from db.engine import transaction
from runtime.boundaries import Step


async def restock(gateway: Gateway, wanted: Restock) -> Available:
    """Add to the stock. Raises `ProductNotFound`."""
    async with transaction(gateway.engine, Step.CHANGE_STOCK) as connection:
        available = await inventory.restock(connection, wanted.sku, wanted.quantity)
    return Available(sku=wanted.sku, available=available)


async def write_off(gateway: Gateway, wanted: WriteOff) -> Available:
    """Take broken or lost goods out of the stock. Raises `ProductNotFound` and `NotEnoughStock`."""
    async with transaction(gateway.engine, Step.CHANGE_STOCK) as connection:
        available = await inventory.write_off(connection, wanted.sku, wanted.quantity, wanted.reason)
    return Available(sku=wanted.sku, available=available)


async def put_product(gateway: Gateway, sku: str, product: ProductIn) -> tuple[CatalogueProduct, bool]:
    """The product as it now is, and whether it is new. Raises a 422 `Problem` for one that could not be paid."""
    if faults := product_faults(product.name, product.unit_amount, product.currency):
        raise invalid([{"field": field, "message": message} for field, message in faults.items()])
    async with transaction(gateway.engine, Step.CHANGE_CATALOGUE) as connection:
        is_new = await products.put_product(connection, sku, **product.model_dump())
        entry = await products.get_entry(connection, sku)
    return CatalogueProduct(**vars(entry)), is_new


async def set_withdrawn(gateway: Gateway, sku: str, *, withdrawn: bool) -> CatalogueProduct:
    """Take the product out of the shop or put it back; repeated, nothing changes. Raises `ProductNotFound`."""
    async with transaction(gateway.engine, Step.CHANGE_CATALOGUE) as connection:
        entry = await products.set_withdrawn(connection, sku, withdrawn)
    return CatalogueProduct(**vars(entry))
