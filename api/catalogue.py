"""The catalogue: for all who look (however many, they share a few connections that no checkout waits for), for an
operator who changes products and their stock, and for a checkout: what speaks against its cart."""

from typing import Annotated

from pydantic import BaseModel, Field, StrictInt, StringConstraints
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from api.problems import Problem, invalid
from checkout.contracts import CheckoutInput
from checkout.errors import PriceChanged, UnstorableData, WrongCart
from checkout.money import product_faults
from checkout.orders import CartLine
from db import catalogue
from db.catalogue import Product, Selection, Shelf
from db.engine import autocommit, transaction
from runtime.failpoints import Step

READERS = 2  # connections, whoever looks: `engine` has no more
_IMAGE = r"^(|/[!-.0-~][!-~]*|https://[a-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?)$"  # as `shop.guard_picture` has it
# For which a checkout fails before it has an order.
REFUSALS = {error.__name__ for error in (*WrongCart.__subclasses__(), UnstorableData)}

Sku = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Currency = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z]{3}$")]
OneLine = Annotated[str, StringConstraints(strict=True, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ProductOut(BaseModel):
    sku: str
    name: str
    description: str
    image: str
    unit_amount: int
    currency: str
    available: int


class ProductList(BaseModel):
    """`next` is the cursor to pass as `after` for the products behind, or null at the end."""

    products: list[ProductOut]
    next: str | None


class ProductIn(
    BaseModel,
    extra="forbid",
    json_schema_extra={"example": {"name": "Pen", "unit_amount": 1000, "currency": "usd"}},
):
    """A product as an operator writes it, its name and amount as the payment service takes them. `unit_amount` in minor
    units of `currency` (ISO 4217, lower case)."""

    name: OneLine
    description: Annotated[OneLine, Field(max_length=500)] = ""
    image: Annotated[str, StringConstraints(strict=True, max_length=500, pattern=_IMAGE)] = ""
    unit_amount: StrictInt
    currency: Currency


class Restock(BaseModel, extra="forbid"):
    sku: Sku
    quantity: Annotated[StrictInt, Field(ge=1, le=1_000_000)]


class WriteOff(Restock):
    reason: Annotated[OneLine, Field(max_length=200)] | None = None


class Available(BaseModel):
    """What can be sold now."""

    sku: str
    available: int


async def read_shelf(engine: AsyncEngine, selection: Selection) -> Shelf:
    async with engine.connect() as connection:
        return await catalogue.shelf(connection, selection)


async def look(engine: AsyncEngine) -> None:
    """Read a product, to see whether that works: raises what any statement raises."""
    async with engine.connect() as connection:
        await catalogue.look(connection)


async def has_product(engine: AsyncEngine, sku: str) -> bool:
    """Whether there is such a product, sold or withdrawn."""
    async with engine.connect() as connection:
        return bool(await catalogue.known_products(connection, [sku]))


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


async def put_product(engine: AsyncEngine, sku: str, product: ProductIn) -> tuple[Product, bool]:
    """The product as it now is, and whether it is new. Raises a 422 `Problem` for one that could not be paid."""
    if faults := product_faults(product.name, product.unit_amount, product.currency):
        raise invalid(*faults.items())
    async with transaction(engine, Step.CHANGE_CATALOGUE) as connection:
        return await catalogue.put_product(connection, sku, product.model_dump())


async def set_withdrawn(engine: AsyncEngine, sku: str, *, withdrawn: bool) -> Product:
    """Take the product out of the shop or put it back; repeated, nothing changes. Raises `ProductNotFound`."""
    async with transaction(engine, Step.CHANGE_CATALOGUE) as connection:
        return await catalogue.set_withdrawn(connection, sku, withdrawn)


class CartCheck:
    """What speaks against a cart, by name: before its checkout begins, and after it has failed."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._reads = autocommit(engine)
        self._last_currency: dict[str, str] = {}

    async def before(self, lines: list[CartLine]) -> None:
        """Refuse what is certainly wrong, by name: a SKU that does not exist, more than one currency. The transaction
        that locks the products has the last word (`db.opening.open_order`), so a cart that looked right a while ago
        need not be looked at again; it is never refused without a look."""
        known = {self._last_currency.get(line.sku) for line in lines}
        if len(known) == 1 and None not in known:
            return
        async with self._reads.connect() as connection:
            found = await catalogue.known_products(connection, [line.sku for line in lines])
        self._last_currency |= found
        unknown = [(index, line.sku) for index, line in enumerate(lines) if line.sku not in found]
        if unknown:
            raise invalid(*((f"items[{index}].sku", f"there is no product {sku}") for index, sku in unknown))
        if len(set(found.values())) > 1:
            raise invalid(("items", "all products of a cart must have one currency"))

    async def after(self, failure: WorkflowFailureError, wish: CheckoutInput) -> Problem | None:
        """Why a checkout has failed, if its cart is to blame, which only the transaction that opens the order could
        know: the catalogue has changed since the cart was filled, or PostgreSQL cannot hold what was sent. All that a
        customer writes freely is the email."""
        refusal = failure.cause
        if not isinstance(refusal, ApplicationError) or refusal.type not in REFUSALS:
            return None
        self._last_currency.clear()
        told = refusal.message.removeprefix(f"{refusal.type}: ")
        if refusal.type == UnstorableData.__name__:
            field = "email" if wish.email else "items"
            return invalid((field, "has characters that cannot be stored"))
        if refusal.type != PriceChanged.__name__:
            return invalid(("items", told))
        selection = Selection(len(wish.lines), skus=tuple(line.sku for line in wish.lines))
        async with self._reads.connect() as connection:
            now = (await catalogue.shelf(connection, selection)).products
        return Problem(
            409,
            PriceChanged.code,
            "The price has changed",
            f"{told}. Nothing was charged and nothing is reserved.",
            # What they cost now: who agrees sends that along, under the same key.
            products=[{"sku": one.sku, "unit_amount": one.unit_amount, "currency": one.currency} for one in now],
        )
