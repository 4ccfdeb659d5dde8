"""A past made by the benchmark is as if it had been sold, and its size is nobody's trouble."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.progress import silent
from db import audit
from db.audit import audit_ledgers
from db.engine import create_engine
from db.invariants import Found, audit_orders
from db.past import make_past
from tests.support.databases import DatabaseServer, migrate_payments
from tests.support.healthy_shop import run_noted

ORDERS = 700


@pytest.fixture(scope="module")
async def template(database_server: DatabaseServer) -> AsyncIterator[str]:
    """The name of a database whose shop has a past."""
    async with database_server.copy() as url:
        engine = create_engine(url)
        await migrate_payments(engine)
        await make_past(url, ORDERS - 200, silent)
        await make_past(url, 200, silent)
        await engine.dispose()
        yield url.rpartition("/")[2]


async def count(engine: AsyncEngine, what: str) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(text(f"SELECT count(*) FROM {what}")) or 0)


async def test_the_past_is_in_order_and_the_stock_of_today_untouched(
    prepared: AsyncEngine, engine: AsyncEngine
) -> None:
    async with prepared.connect() as connection:
        findings = await audit_ledgers(connection, timedelta(0))
        stock = (await connection.execute(text("SELECT sku, on_hand FROM shop.products ORDER BY sku"))).all()
    assert [finding.violations for finding in findings] == [[]] * 9
    assert all(finding.checked for finding in findings if finding.number not in (5, 6))  # nothing is open any more
    async with engine.connect() as connection:  # a shop that has only been seeded
        seeded = (await connection.execute(text("SELECT sku, on_hand FROM shop.products ORDER BY sku"))).all()
    assert stock == seeded
    assert await count(prepared, "shop.orders") == await count(prepared, "shop.audit_due") == ORDERS
    for status in ("dispatched", "cancelled", "refunded", "rejected"):
        assert await count(prepared, f"shop.orders WHERE status = '{status}'") > 5, status


async def test_nothing_that_the_tables_demand_was_left_out(prepared: AsyncEngine) -> None:
    """The guards were off: what they would have refused is looked for in the constraints themselves."""
    async with prepared.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT conrelid::regclass::text AS child, confrelid::regclass::text AS parent,"
                " pg_get_constraintdef(oid) AS told FROM pg_constraint"
                " WHERE contype = 'f' AND connamespace IN ('shop'::regnamespace, 'payments'::regnamespace)"
            )
        )
        for child, parent, told in rows.all():
            ours, theirs = re.findall(r"\(([^)]*)\)", told)[:2]
            pairs = list(zip(ours.split(", "), theirs.split(", ") or ours.split(", "), strict=True))
            joined = " AND ".join(f"c.{one} = p.{other}" for one, other in pairs)
            given = " AND ".join(f"c.{one} IS NOT NULL" for one, _ in pairs)
            orphans = await connection.scalar(
                text(
                    f"SELECT count(*) FROM {child} c WHERE {given}"
                    f" AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {joined})"
                )
            )
            assert orphans == 0, (child, told)


async def test_of_more_violations_than_are_told_every_order_stays_due(prepared: AsyncEngine) -> None:
    await run_noted(prepared, "UPDATE shop.order_lines SET unit_amount = unit_amount + 1")
    async with prepared.connect() as connection:
        found = Found()
        agenda = await audit.agenda(connection, timedelta(0))
        wrong = await audit_orders(connection, agenda.orders, timedelta(0), found)
        seen = await audit.at_rest(connection, agenda.orders, timedelta(0))
    assert (len(seen), len(wrong), len(found.findings[7].violations)) == (ORDERS, ORDERS, 100)
    async with prepared.begin() as connection:
        await audit.note(connection, seen, wrong)
    assert await count(prepared, "shop.audit_due") == ORDERS
