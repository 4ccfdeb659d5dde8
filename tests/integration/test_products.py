"""The catalogue and its stock in an operator's hands: never below what orders hold, never under an order's feet."""

from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.errors import NotEnoughStock, ProductNotFound
from checkout.orders import CartLine, OrderStatus, Reason
from db import catalogue, insights
from tests.support.orders import awaiting, close, fulfil, on_hand, open_order, scalar, violations
from tests.support.rig import TOKEN, Rig

OPERATOR = {"Authorization": f"Bearer {TOKEN}"}
PRINTS = CartLine("limited-print", 4)
BOOK: dict[str, Any] = {
    "name": "Book",
    "description": "Of hours.",
    "image": "/static/products/notebook.svg",
    "unit_amount": 1900,
    "currency": "eur",
}


async def write_off(engine: AsyncEngine, sku: str, quantity: int, reason: str | None = None) -> int:
    async with engine.begin() as connection:
        return await catalogue.write_off(connection, sku, quantity, reason)


async def withdraw(engine: AsyncEngine, sku: str, is_withdrawn: bool = True) -> bool:
    async with engine.begin() as connection:
        return (await catalogue.set_withdrawn(connection, sku, is_withdrawn)).withdrawn


async def put(rig: Rig, sku: str, **product: Any) -> httpx.Response:
    return await rig.http.put(f"/admin/products/{sku}", json=product, headers=OPERATOR)


async def operate(rig: Rig, what: str, **body: Any) -> httpx.Response:
    return await rig.http.post(f"/admin/{what}", json=body or None, headers=OPERATOR)


async def listed(rig: Rig) -> set[str]:
    return {product["sku"] for product in (await rig.http.get("/products")).json()["products"]}


async def test_what_is_written_off_leaves_the_stock_with_its_reason_and_the_audit_knows(engine: AsyncEngine) -> None:
    assert await write_off(engine, "limited-print", 3, "torn") == 7
    moved = await scalar(engine, "SELECT (delta, note)::text FROM shop.stock_movements WHERE cause = 'write_off'")
    assert moved == "(-3,torn)"
    assert await violations(engine) == []


async def test_the_last_of_it_can_be_written_off_and_no_more(engine: AsyncEngine) -> None:
    assert await write_off(engine, "limited-print", 10) == 0
    with pytest.raises(NotEnoughStock) as refusal:
        await write_off(engine, "limited-print", 1)
    assert refusal.value.available == 0
    with pytest.raises(ProductNotFound):
        await write_off(engine, "unicorn", 1)
    assert await violations(engine) == []


async def test_what_orders_hold_is_not_written_off(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k", PRINTS)
    with pytest.raises(NotEnoughStock) as refusal:
        await write_off(engine, "limited-print", 7)
    assert refusal.value.available == 6
    assert await write_off(engine, "limited-print", 6) == 0
    assert (await fulfil(engine, order)).status is OrderStatus.FULFILLED
    assert await violations(engine) == []


async def test_the_console_tells_what_is_held_and_sold_of_what_was_brought_in(engine: AsyncEngine) -> None:
    await fulfil(engine, await awaiting(engine, "sold", PRINTS))
    await awaiting(engine, "held", PRINTS)
    await write_off(engine, "limited-print", 1)
    async with engine.connect() as connection:
        [level] = await insights.stock_levels(connection, ["limited-print"])
    assert (level.on_hand, level.held, level.sold) == (1, 4, 4)


async def test_a_withdrawn_product_is_refused_where_it_is_locked_and_its_answer_stays(engine: AsyncEngine) -> None:
    assert await withdraw(engine, "limited-print")
    order = await open_order(engine, "k", CartLine("pen", 1), PRINTS)
    assert (order.status, order.reason, order.missing_skus) == (
        OrderStatus.REJECTED,
        Reason.WITHDRAWN,
        ["limited-print"],
    )
    assert (await on_hand(engine, "pen"), await on_hand(engine, "limited-print")) == (100_000, 10)
    assert not await withdraw(engine, "limited-print", False)
    assert await open_order(engine, "k", CartLine("pen", 1), PRINTS) == order
    assert (await open_order(engine, "another", PRINTS)).status is OrderStatus.PENDING
    assert await violations(engine) == []


async def test_orders_that_have_it_are_untouched_by_a_withdrawal(engine: AsyncEngine) -> None:
    kept, given_up = await awaiting(engine, "kept", PRINTS), await awaiting(engine, "given-up", PRINTS)
    await withdraw(engine, "limited-print")
    assert (await fulfil(engine, kept)).status is OrderStatus.FULFILLED
    await close(engine, given_up)
    assert await on_hand(engine, "limited-print") == 6
    assert await violations(engine) == []


async def test_withdrawn_twice_it_is_withdrawn_since_the_first_time(engine: AsyncEngine) -> None:
    await withdraw(engine, "pen")
    since = await scalar(engine, "SELECT withdrawn_at FROM shop.products WHERE sku = 'pen'")
    await withdraw(engine, "pen")
    assert await scalar(engine, "SELECT withdrawn_at FROM shop.products WHERE sku = 'pen'") == since


async def test_a_buyer_of_a_withdrawn_product_is_told_so_every_time(rig: Rig) -> None:
    cart = {"items": [{"sku": "tote-bag", "quantity": 1}]}
    assert (await rig.buy("before", **cart)).status_code == 200  # so the gateway knows the product
    withdrawn = await operate(rig, "products/tote-bag/withdraw")
    assert (withdrawn.status_code, withdrawn.json()["withdrawn"]) == (200, True)
    assert "tote-bag" not in await listed(rig)
    assert "Tote bag" not in (await rig.http.get("/")).text
    assert (await rig.http.get("/products", params={"after": "limited-print"})).json()["products"] == []
    answers = [await rig.buy("after", **cart) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert answers[0].content == answers[1].content
    assert (answers[0].json()["code"], answers[0].json()["skus"]) == ("withdrawn", ["tote-bag"])
    offered = await operate(rig, "products/tote-bag/offer")
    assert (offered.status_code, offered.json()["withdrawn"]) == (200, False)
    assert (await rig.buy("again", **cart)).status_code == 200


async def test_a_product_is_added_filled_sold_and_changed_and_its_orders_stay_as_agreed(rig: Rig) -> None:
    added = await put(rig, "book", **BOOK)
    assert (added.status_code, added.json()) == (201, {"sku": "book", **BOOK, "available": 0, "withdrawn": False})
    assert (await operate(rig, "restock", sku="book", quantity=5)).json()["available"] == 5
    bought = await rig.buy("k", items=[{"sku": "book", "quantity": 2}])
    assert (bought.json()["amount_total"], bought.json()["currency"]) == (3800, "eur")
    changed = await put(rig, "book", **BOOK | {"name": "Garden hose", "unit_amount": 1, "currency": "usd"})
    assert (changed.status_code, changed.json()["available"]) == (200, 3)
    order = (await rig.http.get(f"/orders/{bought.json()['order_id']}")).json()
    assert order["lines"] == [{"sku": "book", "name": "Book", "quantity": 2, "unit_amount": 1900}]
    assert (await rig.buy("k", items=[{"sku": "book", "quantity": 2}])).content == bought.content
    assert await violations(rig.engine) == []


async def test_a_change_puts_no_withdrawn_product_back(rig: Rig) -> None:
    await operate(rig, "products/pen/withdraw")
    assert (await put(rig, "pen", **BOOK)).json()["withdrawn"] is True


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 251),
        ("name", "a\0b"),
        ("name", "two\nlines"),
        ("unit_amount", 0),
        ("unit_amount", "1000"),
        ("unit_amount", 100_000_000),
        ("unit_amount", 10**30),
        ("currency", "USD"),
        ("currency", "us"),
        ("image", "javascript:alert(1)"),
        ("image", "http://cdn.example/x.png"),
        ("image", "//cdn.example/x.png"),
        ("on_hand", 5),
        ("withdrawn", True),
    ],
)
async def test_what_is_no_product_is_refused_by_name(rig: Rig, field: str, value: object) -> None:
    answer = await put(rig, "book", **BOOK | {field: value})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "book" not in await listed(rig)


async def test_what_cannot_be_written_off_or_withdrawn_says_why(rig: Rig) -> None:
    too_many = await operate(rig, "write-off", sku="limited-print", quantity=11, reason="torn")
    assert (too_many.status_code, too_many.json()["code"], too_many.json()["available"]) == (
        409,
        "not-enough-stock",
        10,
    )
    for call in ("write-off", "restock"):
        for quantity in (0, -1, "1", 1.5, 1_000_001):
            assert (await operate(rig, call, sku="pen", quantity=quantity)).status_code == 422
        assert (await operate(rig, call, sku="unicorn", quantity=1)).status_code == 422
    assert (await operate(rig, "products/unicorn/withdraw")).status_code == 422
    assert (await operate(rig, "products/No%20Such/withdraw")).status_code == 422


async def test_the_console_writes_off_withdraws_and_offers(rig: Rig) -> None:
    at_home = {"Origin": rig.settings.public_url}
    await rig.http.post("/admin/login", data={"token": TOKEN}, headers=at_home)
    page = (await rig.http.get("/admin/console/stock")).text
    csrf = page.partition('<meta name="csrf" content="')[2].partition('"')[0]

    async def press(what: str, **fields: str) -> str:
        answer = await rig.http.post(f"/admin/console/{what}", data=fields | {"csrf": csrf}, headers=at_home)
        assert answer.status_code == 303, answer.text
        return (await rig.http.get(answer.headers["location"])).text

    assert "written off" in await press("write-off", sku="limited-print", quantity="2", reason="")
    assert await on_hand(rig.engine, "limited-print") == 8
    assert "Tote bag (withdrawn)" in await press("products/tote-bag/withdraw")
    assert "Tote bag (withdrawn)" not in await press("products/tote-bag/offer")
