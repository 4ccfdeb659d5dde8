"""Nobody is sold anything at another price than they saw, without a word."""

import asyncio
import re
import secrets
from html import unescape
from urllib.parse import urlencode

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.eventually import eventually
from tests.support.rig import Rig

PAGE = {"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}
SEEN = {"sku": "pen", "quantity": 2, "expected_unit_amount": 1000, "expected_currency": "usd"}
NOTEBOOK = {"sku": "notebook", "quantity": 1}


async def reprice(engine: AsyncEngine, change: str, sku: str = "pen") -> None:
    async with engine.begin() as connection:
        await connection.execute(text(f"UPDATE shop.products SET {change} WHERE sku = :sku"), {"sku": sku})


async def counts(engine: AsyncEngine) -> tuple[int, int]:
    """Pens on hand, and orders."""
    async with engine.connect() as connection:
        pens = await connection.scalar(text("SELECT on_hand FROM shop.products WHERE sku = 'pen'"))
        return int(pens), int(await connection.scalar(text("SELECT count(*) FROM shop.orders")) or 0)


async def test_the_price_that_was_seen_is_bought_at_whatever_it_becomes_later(rig: Rig, engine: AsyncEngine) -> None:
    key = secrets.token_hex(8)
    first = await rig.buy(key, items=[SEEN, NOTEBOOK])
    assert (first.status_code, first.json()["amount_total"]) == (200, 2450)
    await reprice(engine, "unit_amount = 1200")
    replays = [
        await rig.buy(key, items=[SEEN, NOTEBOOK]),
        await rig.buy(key, items=[NOTEBOOK, {"sku": "pen", "quantity": 2}]),
        await rig.buy(key, items=[SEEN | {"expected_unit_amount": 1200}, NOTEBOOK]),
    ]
    assert {answer.content for answer in replays} == {first.content}


@pytest.mark.parametrize(
    ("change", "now"),
    [
        ("unit_amount = 1200", {"sku": "pen", "unit_amount": 1200, "currency": "usd"}),
        ("unit_amount = 900", {"sku": "pen", "unit_amount": 900, "currency": "usd"}),
        ("currency = 'eur'", {"sku": "pen", "unit_amount": 1000, "currency": "eur"}),
    ],
)
async def test_another_price_than_was_seen_is_told_and_nothing_is_reserved(
    rig: Rig, engine: AsyncEngine, change: str, now: dict[str, object]
) -> None:
    key = secrets.token_hex(8)
    await reprice(engine, change)
    before = await counts(engine)
    for _ in range(2):
        answer = await rig.buy(key, items=[SEEN])
        assert (answer.status_code, answer.json()["code"]) == (409, "price-changed")
        assert answer.json()["products"] == [now]
        assert answer.headers["idempotency-key"] == key
    assert await counts(engine) == before
    expected = {f"expected_{name}": now[name] for name in ("unit_amount", "currency")}
    agreed = await rig.buy(key, items=[SEEN | expected])
    assert (agreed.status_code, agreed.json()["amount_total"]) == (200, 2 * int(str(now["unit_amount"])))


async def test_who_tells_no_price_buys_at_the_catalogues(rig: Rig, engine: AsyncEngine) -> None:
    await reprice(engine, "unit_amount = 1200")
    answer = await rig.buy(secrets.token_hex(8), items=[{"sku": "pen", "quantity": 1}])
    assert (answer.status_code, answer.json()["amount_total"]) == (200, 1200)


async def test_a_price_that_changes_while_a_checkout_waits_for_a_worker_counts_as_well(
    rig: Rig, engine: AsyncEngine
) -> None:
    """What the gateway saw when it took the cart is hours old when the order is opened."""
    async with engine.connect() as holder:
        await holder.execute(text("SELECT 1 FROM shop.products WHERE sku = 'pen' FOR UPDATE"))
        key = secrets.token_hex(8)
        buying = asyncio.create_task(rig.buy(key, items=[SEEN]))

        async def has_begun() -> bool:
            return await rig.is_known(key)

        await eventually(has_begun, what="the checkout having begun")
        await holder.execute(text("UPDATE shop.products SET unit_amount = 1200 WHERE sku = 'pen'"))
        await holder.commit()
    answer = await buying
    assert (answer.status_code, answer.json()["code"]) == (409, "price-changed")


async def test_without_script_the_new_price_is_told_and_can_be_agreed_to(rig: Rig, engine: AsyncEngine) -> None:
    await reprice(engine, "unit_amount = 1200")
    sent = [
        *SEEN.items(),
        *(NOTEBOOK | {"expected_unit_amount": 450, "expected_currency": "usd"}).items(),
        ("key", "k" * 32),
    ]
    answer = await rig.http.post("/checkout", content=urlencode(sent), headers=PAGE)
    assert answer.status_code == 409
    assert "Pen costs 12.00 USD" in answer.text
    assert "Buy at the new price" in answer.text
    inputs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', answer.text)
    agreed = [(name, unescape(value)) for name, value in inputs]
    assert ("expected_unit_amount", "1200") in agreed
    again = await rig.http.post("/checkout", content=urlencode(agreed), headers=PAGE)
    assert again.status_code == 303, again.text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ("sku=pen&quantity=1&expected_unit_amount=1.5", "items[0].expected_unit_amount"),
        ("sku=pen&quantity=1&expected_unit_amount=10&expected_currency=EURO", "items[0].expected_currency"),
        ("sku=pen&quantity=1&sku=notebook&quantity=1&expected_unit_amount=10", None),
        ("quantity=1", None),
        ("expected_unit_amount=1", None),
    ],
)
async def test_a_wrong_price_in_a_form_is_told(rig: Rig, fields: str, field: str | None) -> None:
    for accept in ("application/json", "text/html"):
        answer = await rig.http.post("/checkout", content=fields, headers=PAGE | {"Accept": accept})
        assert answer.status_code == 422, answer.text
    answer = await rig.http.post("/checkout", content=fields, headers=PAGE | {"Accept": "*/*"})
    assert [error["field"] for error in answer.json().get("errors", [])] == ([field] if field else [])
