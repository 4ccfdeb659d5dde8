"""A catalogue of any size."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_PRODUCTS = text("""
    INSERT INTO shop.products (sku, name, description, image, unit_amount, currency, on_hand, position)
    SELECT 'thing-' || to_char(n, 'FM00000'), 'Thing ' || n, 'A thing like any other, number ' || n || '.',
           '/static/products/pen.svg', 100 + n, 'usd', 1000, 1000 + n
      FROM generate_series(1, :count) n
""")
_MOVEMENTS = text("""
    INSERT INTO shop.stock_movements (sku, delta, cause)
    SELECT sku, on_hand, 'seed' FROM shop.products WHERE sku LIKE 'thing-%'
""")


async def stock_up(engine: AsyncEngine, count: int) -> None:
    """`count` products more, behind those of the seed: `thing-00001`, `thing-00002`, …"""
    async with engine.begin() as connection:
        await connection.execute(_PRODUCTS, {"count": count})
        await connection.execute(_MOVEMENTS)
