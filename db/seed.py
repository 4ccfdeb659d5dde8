"""The catalogue of a new shop. Prices are minor units (1000 = 10.00 USD)."""

from dataclasses import dataclass


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
