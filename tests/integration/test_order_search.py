"""An operator finds an order by whatever is known of it, and however many there are, by an index."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.orders import OrderStatus
from db import opening, order_pages
from tests.support.orders import awaiting, close, fulfil, request


async def buy(engine: AsyncEngine, key: str, email: str | None) -> str:
    async with engine.begin() as connection:
        return (await opening.open_order(connection, replace(request(key), email=email))).order_id


async def found(engine: AsyncEngine, search: str | None = None, status: str | None = None) -> list[str]:
    """The keys of what is found; no order is read for it that an index has not found."""
    async with engine.connect() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        await connection.execute(text("SET LOCAL enable_indexscan = off"))  # a walk along the newest, filtered
        with statements(engine) as asked:
            page = await order_pages.order_page(connection, status=status, search=search, limit=50)
        [(statement, given)] = asked
        plan = "\n".join((await connection.exec_driver_sql(f"EXPLAIN {statement}", given)).scalars())
        if search is not None:
            assert "BitmapOr" in plan, plan
            assert "Filter" not in plan, plan
        elif status != OrderStatus.DISPATCHED:  # of nearly all, the newest are met at once
            assert "Bitmap Index Scan" in plan, plan
    return [row.checkout_key for row in page]


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[list[tuple[str, Any]]]:
    """What is executed in the block, each with its parameters."""
    asked: list[tuple[str, Any]] = []

    def hear(connection: object, cursor: object, statement: str, given: Any, *_: object) -> None:
        asked.append((statement, given))

    event.listen(engine.sync_engine, "before_cursor_execute", hear)
    yield asked
    event.remove(engine.sync_engine, "before_cursor_execute", hear)


@pytest.mark.parametrize(
    ("bought", "searched"),
    [
        ("Customer7@Example.com", "customer7@example.com"),
        ("customer7@example.com", "CUSTOMER7@EXAMPLE.COM"),
        ("Иван@Example.com", "иван@example.com"),
        ("Straße@Example.com", "STRASSE@example.com"),
    ],
)
async def test_an_email_is_found_in_any_case(engine: AsyncEngine, bought: str, searched: str) -> None:
    await buy(engine, "mine", bought)
    await buy(engine, "another", "customer70@example.com")
    await buy(engine, "without", None)
    assert await found(engine, searched) == ["mine"]
    assert await found(engine, bought) == ["mine"]


async def test_keys_and_ids_are_found_as_they_are_written(engine: AsyncEngine) -> None:
    for key in ("Ab-1", "ab-1", "ab-12~", "ab-2"):
        await buy(engine, key, None)
    paid = await awaiting(engine, "paid")
    await fulfil(engine, paid)
    assert await found(engine, "Ab-1") == ["Ab-1"]
    assert await found(engine, "ab-1") == ["ab-12~", "ab-1"]
    assert await found(engine, "AB-1") == []
    for known in (paid.order_id, "cs_paid", f"pi_{paid.order_id}"):
        assert await found(engine, known) == ["paid"]
        assert await found(engine, known.upper()) == []


@pytest.mark.parametrize("nothing", ["' OR true --", "%", "ab_", "\\", "~", "ord_", "x" * 254])
async def test_a_search_for_what_is_not_there_finds_nothing(engine: AsyncEngine, nothing: str) -> None:
    await buy(engine, "ab-1", "a@example.com")
    assert await found(engine, nothing) == []


@pytest.mark.parametrize("status", list(OrderStatus))
async def test_orders_of_every_status_are_listed_by_an_index(engine: AsyncEngine, status: OrderStatus) -> None:
    await close(engine, await awaiting(engine, "cancelled"))
    await fulfil(engine, await awaiting(engine, "fulfilled"))
    await awaiting(engine, "awaiting_payment")
    await buy(engine, "pending", None)
    there = {"cancelled", "fulfilled", "awaiting_payment", "pending"} & {status.value}
    assert await found(engine, status=status) == list(there)


async def test_who_forgets_an_email_forgets_both_its_forms(engine: AsyncEngine) -> None:
    await buy(engine, "mine", "a@example.com")
    with pytest.raises(IntegrityError, match="orders_email_is_folded"):
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE shop.orders SET email = NULL"))


async def test_a_page_goes_on_behind_an_order_without_a_walk_to_it(engine: AsyncEngine) -> None:
    ids = [await buy(engine, f"k{number}", None) for number in range(4)]
    async with engine.connect() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        with statements(engine) as asked:
            page = await order_pages.order_page(connection, after=ids[2], limit=50)
        [(statement, given)] = asked
        plan = "\n".join((await connection.exec_driver_sql(f"EXPLAIN {statement}", given)).scalars())
    assert [row.id for row in page] == [ids[1], ids[0]]
    assert "Index Cond: (ROW(created_at, id) <" in plan, plan
