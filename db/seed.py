"""The catalogue of a new shop, and how it comes into the database. Prices are minor units (1000 = 10.00 USD)."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True)
class SeedProduct:
    sku: str
    name: str
    description: str
    unit_amount: int
    on_hand: int
    currency: str = "usd"

    @property
    def image(self) -> str:
        return f"/static/products/{self.sku}.svg"


CATALOGUE = (
    SeedProduct("pen", "Pen", "A brass ballpoint that outlives its refills.", 1000, 100_000),
    SeedProduct("notebook", "Notebook", "96 dotted pages, lies flat, forgives a lot.", 450, 50_000),
    SeedProduct("pencil-set", "Pencil set", "Twelve graphite pencils from 6B to 4H.", 1250, 20_000),
    SeedProduct("ink-bottle", "Bottle of ink", "50 ml of blue-black, iron gall, for the long run.", 1400, 8_000),
    SeedProduct("desk-lamp", "Desk lamp", "Warm light on a counterweighted arm.", 5900, 1_500),
    SeedProduct("tote-bag", "Tote bag", "Heavy canvas; carries a week of notebooks.", 1800, 5_000),
    SeedProduct("coffee-mug", "Coffee mug", "Stoneware, 300 ml, dishwasher-proof.", 1600, 6_000),
    SeedProduct("limited-print", "Limited print", "A signed linocut. Ten were made, no more will be.", 12000, 10),
)
_SEED = text("""
    WITH added AS (
        INSERT INTO shop.products (sku, name, description, image, unit_amount, currency, on_hand, position)
        VALUES (:sku, :name, :description, :image, :unit_amount, :currency, :on_hand, :position)
        ON CONFLICT (sku) DO NOTHING RETURNING sku, on_hand
    ), moved AS (
        INSERT INTO shop.stock_movements (sku, delta, cause) SELECT sku, on_hand, 'seed' FROM added WHERE on_hand > 0
    )
    SELECT count(*) FROM added
""")


async def seed_products(connection: AsyncConnection, products: Iterable[SeedProduct]) -> int:
    """Add those products that are not there yet; answers how many."""
    added = 0
    for position, product in enumerate(products):
        row = vars(product) | {"image": product.image, "position": position}
        added += (await connection.execute(_SEED, row)).scalar_one()
    return added
