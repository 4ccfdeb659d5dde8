"""The invariants, asked of what an audit looks at (`invariants.sql`)."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.order_queries import COUNTED_LINES, KEPT, LIVE
from db.scripts import script

NAMES = {
    1: "No order has two charges",
    2: "Both ledgers have the same money, and every order keeps exactly what it may",
    3: "Reserved stock is that of live and fulfilled orders, line by line",
    4: "No stock below zero, and on hand + held + consumed = initial + restocked - written off",
    5: "No session of an ended order can be paid, and both ledgers have the same refunds and disputes",
    6: "Every order ends, and every event of the payment service arrives",
    7: "A key has one order, and its answer is the one first given",
    8: "What a customer was told stays true",
    9: "No order leaves an end, but to refunded",
    10: "Every live order has exactly one running workflow, an ended one none",
    11: "Something was there to check",
}
MAX_VIOLATIONS = 100  # of one invariant
MOVEMENTS = 200_000  # read at a time

_GRACE_AGO = "clock_timestamp() - CAST(:grace AS interval)"
_SECTION = re.compile(r"^-- (\w+): (\w+)( and payments)?\n(.*?)(?=^-- \w+: |\Z)", re.MULTILINE | re.DOTALL)
_HAS_PAYMENTS = text("SELECT to_regclass('payments.ledger') IS NOT NULL")
_OUTCOMES = text("""
    SELECT concat_ws(':', status, reason), count(*) FROM shop.orders
     WHERE id = ANY(CAST(:orders AS text[])) GROUP BY 1
""")
_LAST_MOVEMENT = text("SELECT coalesce(max(id), 0) FROM shop.stock_movements")
_MOVEMENTS = text("""
    SELECT sku, sum(delta)::bigint, coalesce(sum(delta) FILTER (WHERE order_id IS NULL), 0)::bigint
      FROM shop.stock_movements WHERE id > :after AND id <= :until GROUP BY sku
""")
_SUMS = """
    SELECT p.sku, coalesce(s.moved, 0) AS moved, coalesce(s.brought, 0) AS brought,
           coalesce(m.moved, 0)::bigint AS moved_since, coalesce(m.brought, 0)::bigint AS brought_since
      FROM shop.products p LEFT JOIN shop.stock_sums s USING (sku)
      LEFT JOIN (SELECT sku, sum(delta) AS moved, sum(delta) FILTER (WHERE order_id IS NULL) AS brought
                   FROM shop.stock_movements WHERE id > :end GROUP BY sku) m USING (sku)
"""


@dataclass(frozen=True)
class Check:
    """`checked` counts what was looked at; `violations` selects whom one is about and one sentence."""

    number: int
    of_orders: bool
    needs_payments: bool
    checked: TextClause
    violations: TextClause


def _read() -> Iterator[Check]:
    common: dict[str, str] = {}  # what statements about orders begin with, and what those about payments go on with
    statements = script("invariants.sql", LIVE=LIVE, KEPT=KEPT, COUNTED_LINES=COUNTED_LINES, GRACE_AGO=_GRACE_AGO)
    for number, scope, payments, body in _SECTION.findall(statements):
        if number == "with":
            common[scope] = body
            continue
        of_orders = scope == "orders"
        begin = common["orders"] + (common["payments"] if payments else "") if of_orders else ""
        # Of orders no LIMIT: one that is missing from the rows is taken as correct.
        limit = "" if of_orders else f" LIMIT {MAX_VIOLATIONS}"
        checked, violations, _ = body.split(";\n")
        yield Check(int(number), of_orders, bool(payments), text(begin + checked), text(begin + violations + limit))


CHECKS = tuple(_read())


@dataclass
class Finding:
    """Of one invariant, by its number."""

    number: int
    checked: int = 0
    violations: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return NAMES[self.number]


@dataclass
class Found:
    """What was found so far; `outcomes` counts how the orders ended."""

    findings: dict[int, Finding] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, number: int, checked: int, violations: Sequence[str]) -> None:
        finding = self.findings.setdefault(number, Finding(number))
        finding.checked += checked
        finding.violations = [*finding.violations, *violations][:MAX_VIOLATIONS]

    def sorted(self) -> list[Finding]:
        return [self.findings[number] for number in sorted(self.findings)]


async def has_payments(connection: AsyncConnection) -> bool:
    """Whether the payment service's ledger can be read here."""
    return bool(await connection.scalar(_HAS_PAYMENTS))


async def audit_orders(connection: AsyncConnection, orders: Sequence[str], grace: timedelta, found: Found) -> set[str]:
    """Check what has to do with these orders, adding to `found`. Returns the orders, or sessions without one,
    that violations are about."""
    given = {"orders": list(orders), "grace": grace}
    for name, count in await connection.execute(_OUTCOMES, given):
        found.outcomes[str(name)] += int(count)
    return await _ask(connection, [check for check in CHECKS if check.of_orders], given, found)


async def audit_standing(connection: AsyncConnection, grace: timedelta, found: Found) -> None:
    """Check what stands open, of all orders and products."""
    await _ask(connection, [check for check in CHECKS if not check.of_orders], {"grace": grace}, found)


async def _ask(connection: AsyncConnection, checks: Sequence[Check], given: Any, found: Found) -> set[str]:
    """Run the checks, adding to `found`. Returns whom violations are about: ids of orders, sessions or products."""
    readable, wrong = await has_payments(connection), set()
    for check in checks:
        if check.needs_payments and not readable:
            found.add(check.number, 0, [])
            continue
        rows = (await connection.execute(check.violations, given)).all()
        wrong |= {str(whom) for whom, _ in rows}
        count = await connection.scalar(check.checked, given)
        found.add(check.number, int(count or 0), [str(sentence) for _, sentence in rows])
    return wrong


@dataclass
class StockSums:
    """The stock's movements up to `read_to`, added up anew by SKU, all of them and those that no order made: to be
    compared with the sums that triggers keep. `end` is the last to read."""

    end: int
    read_to: int = 0
    moved: Counter[str] = field(default_factory=Counter)
    brought: Counter[str] = field(default_factory=Counter)

    @classmethod
    async def begin(cls, connection: AsyncConnection) -> Self:
        return cls(int(await connection.scalar(_LAST_MOVEMENT) or 0))

    @property
    def is_read(self) -> bool:
        return self.read_to >= self.end

    async def read_on(self, connection: AsyncConnection) -> None:
        """The next `MOVEMENTS`."""
        until = min(self.read_to + MOVEMENTS, self.end)
        for sku, moved, brought in await connection.execute(_MOVEMENTS, {"after": self.read_to, "until": until}):
            self.moved[sku] += moved
            self.brought[sku] += brought
        self.read_to = until

    async def differences(self, connection: AsyncConnection) -> list[str]:
        """Where the sums that are kept are not those of the movements. One may have been committed behind our back
        while we read: whatever looks wrong is added up once more, in one statement, before it counts."""
        told = []
        for row in (await connection.execute(text(_SUMS), {"end": self.end})).all():
            counted = (self.moved[row.sku] + row.moved_since, self.brought[row.sku] + row.brought_since)
            if counted == (row.moved, row.brought):
                continue
            one = (await connection.execute(text(f"{_SUMS} WHERE p.sku = :sku"), {"end": 0, "sku": row.sku})).one()
            if (one.moved, one.brought) != (one.moved_since, one.brought_since):
                added_up = f"movements add up to {one.moved_since}, of them {one.brought_since} brought in"
                told.append(f"{row.sku}: {added_up}; kept are {one.moved} and {one.brought}")
        return told
