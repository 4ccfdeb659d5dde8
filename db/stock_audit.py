"""The sums of the stock ledger, added up anew and compared with those that triggers keep (`shop.stock_sums`)."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

PIECE = 200_000  # movements

_END = text("SELECT coalesce(max(id), 0) FROM shop.stock_movements")
_PIECE = text("""
    SELECT sku, sum(delta)::bigint, coalesce(sum(delta) FILTER (WHERE order_id IS NULL), 0)::bigint
      FROM shop.stock_movements WHERE id > :after AND id <= :until GROUP BY sku
""")
_KEPT = """
    SELECT p.sku, coalesce(s.moved, 0) AS moved, coalesce(s.brought, 0) AS brought,
           coalesce(m.moved, 0)::bigint AS moved_since, coalesce(m.brought, 0)::bigint AS brought_since
      FROM shop.products p LEFT JOIN shop.stock_sums s USING (sku)
      LEFT JOIN (SELECT sku, sum(delta) AS moved, sum(delta) FILTER (WHERE order_id IS NULL) AS brought
                   FROM shop.stock_movements WHERE id > :end GROUP BY sku) m USING (sku)
"""


@dataclass
class Sums:
    """Of the movements up to `read_to`, by SKU: all, and those that no order made. `end` is the last to read."""

    end: int
    read_to: int = 0
    moved: Counter[str] = field(default_factory=Counter)
    brought: Counter[str] = field(default_factory=Counter)

    @property
    def is_read(self) -> bool:
        return self.read_to >= self.end


async def begin(connection: AsyncConnection) -> Sums:
    return Sums(int(await connection.scalar(_END) or 0))


async def add_up(connection: AsyncConnection, sums: Sums) -> None:
    """Read the next piece."""
    until = min(sums.read_to + PIECE, sums.end)
    for sku, moved, brought in await connection.execute(_PIECE, {"after": sums.read_to, "until": until}):
        sums.moved[sku] += moved
        sums.brought[sku] += brought
    sums.read_to = until


async def differences(connection: AsyncConnection, sums: Sums) -> list[str]:
    """Where the sums that are kept are not those of the movements. A movement may have been committed behind our back
    while we read: whatever looks wrong is added up once more, in one statement, before it counts."""
    told = []
    for row in (await connection.execute(text(_KEPT), {"end": sums.end})).all():
        counted = (sums.moved[row.sku] + row.moved_since, sums.brought[row.sku] + row.brought_since)
        if counted == (row.moved, row.brought):
            continue
        one = (await connection.execute(text(f"{_KEPT} WHERE p.sku = :sku"), {"end": 0, "sku": row.sku})).one()
        if (one.moved, one.brought) != (one.moved_since, one.brought_since):
            added_up = f"movements add up to {one.moved_since}, of them {one.brought_since} brought in"
            told.append(f"{row.sku}: {added_up}; kept are {one.moved} and {one.brought}")
    return told
