"""What an order was agreed on, name, price and currency, is decided where the products are locked, and stays."""

import time
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.errors import MixedCurrencies
from checkout.orders import CartLine, OrderStatus
from db import order_pages, order_queries
from db.engine import autocommit
from tests.support.orders import on_hand, open_order, scalar
from tests.support.provider import FakeProvider
from tests.support.rig import Rig
from worker.activities.checkouts import CheckoutActivities

PEN, MUG = CartLine("pen", 1), CartLine("coffee-mug", 1)
PEN_AND_MUG = {"items": [{"sku": "pen", "quantity": 1}, {"sku": "coffee-mug", "quantity": 1}]}


async def change(engine: AsyncEngine, sku: str, **columns: Any) -> None:
    """In the catalogue, behind everybody's back."""
    wanted = ", ".join(f"{column} = :{column}" for column in columns)
    async with engine.begin() as connection:
        await connection.execute(text(f"UPDATE shop.products SET {wanted} WHERE sku = :sku"), {"sku": sku, **columns})


@pytest.mark.parametrize(("pen", "mug"), [("usd", "eur"), ("eur", "jpy"), ("jpy", "usd")])
async def test_the_transaction_that_locks_the_products_refuses_a_cart_of_two_currencies(
    engine: AsyncEngine, pen: str, mug: str
) -> None:
    await change(engine, "pen", currency=pen)
    await change(engine, "coffee-mug", currency=mug)
    with pytest.raises(MixedCurrencies, match=f"coffee-mug in {mug}, pen in {pen}"):
        await open_order(engine, "k", PEN, MUG)
    assert await scalar(engine, "SELECT count(*) FROM shop.orders") == 0
    assert (await on_hand(engine, "pen"), await on_hand(engine, "coffee-mug")) == (100_000, 6_000)


@pytest.mark.parametrize("currency", ["usd", "eur", "jpy"])
async def test_a_cart_of_one_currency_is_an_order_in_it(engine: AsyncEngine, currency: str) -> None:
    for sku in ("pen", "coffee-mug"):
        await change(engine, sku, currency=currency)
    order = await open_order(engine, "k", PEN, MUG)
    assert (order.status, order.amount_total, order.currency) == (OrderStatus.PENDING, 2600, currency)


async def test_a_repeat_finds_its_order_though_the_catalogue_would_refuse_its_cart_today(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k", PEN, MUG)
    await change(engine, "coffee-mug", currency="eur")
    assert await open_order(engine, "k", PEN, MUG) == order


async def test_no_line_is_in_another_currency_than_its_order_whatever_the_code_does(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k", PEN)
    line = (
        "INSERT INTO shop.order_lines (order_id, sku, name, quantity, unit_amount, currency)"
        " VALUES (:order, 'coffee-mug', 'Mug', 1, 1, 'eur')"
    )
    with pytest.raises(IntegrityError, match="order_lines_currency_is_the_orders"):
        async with engine.begin() as connection:
            await connection.execute(text(line), {"order": order.order_id})


async def test_a_total_is_what_the_lines_add_up_to_whatever_the_code_does(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k", PEN)
    line = (
        "INSERT INTO shop.order_lines (order_id, sku, name, quantity, unit_amount, currency)"
        " VALUES (:order, 'coffee-mug', 'Mug', 1, 1, 'usd')"
    )
    with pytest.raises(IntegrityError, match="its total is not what its lines add up to"):
        async with engine.begin() as connection:
            await connection.execute(text(line), {"order": order.order_id})


async def test_a_buyer_is_told_of_a_currency_that_changed_after_the_gateway_had_seen_the_product(rig: Rig) -> None:
    """Both products were bought once, so the gateway knows them; then one of them is priced anew."""
    assert (await rig.buy("before", **PEN_AND_MUG)).status_code == 200
    await change(rig.engine, "coffee-mug", currency="eur", unit_amount=1900)
    began = time.monotonic()
    answers = [await rig.press(key, **PEN_AND_MUG) for key in ("after", "after", "later")]
    assert [answer.status_code for answer in answers] == [422, 422, 422]
    assert time.monotonic() - began < rig.settings.session_wait  # told, not given up waiting for
    for answer in answers:
        assert [error["field"] for error in answer.json()["errors"]] == ["items"]
        assert "currency" in answer.json()["detail"]
    assert await scalar(rig.engine, "SELECT count(*) FROM shop.orders") == 1
    # Nothing was decided under the key: once the catalogue is right again, it buys.
    await change(rig.engine, "coffee-mug", currency="usd")
    assert (await rig.buy("after", **PEN_AND_MUG)).status_code == 200


async def test_a_product_that_joined_the_currency_of_the_others_is_sold_at_once(rig: Rig) -> None:
    await change(rig.engine, "coffee-mug", currency="eur")
    assert (await rig.press("apart", **PEN_AND_MUG)).status_code == 422
    await change(rig.engine, "coffee-mug", currency="usd")
    assert (await rig.buy("together", **PEN_AND_MUG)).status_code == 200


async def test_an_order_keeps_the_name_it_was_sold_under(engine: AsyncEngine) -> None:
    order = await open_order(engine, "k", PEN)
    await change(engine, "pen", name="Garden hose 50 m")
    async with engine.connect() as connection:
        detail = await order_pages.order_detail(connection, order.order_id)
    assert [line["name"] for line in detail.lines] == ["Pen"]


async def test_a_session_is_asked_for_in_the_same_words_and_at_the_same_price_every_time(engine: AsyncEngine) -> None:
    """Else the provider refuses the second attempt: an idempotency key stands for one request."""
    order, provider = await open_order(engine, "k", CartLine("pen", 3)), FakeProvider()
    async with autocommit(engine).connect() as connection:
        asked = await order_queries.session_request(connection, order)
        await change(engine, "pen", name="Garden hose 50 m", unit_amount=1, currency="eur")
        assert await order_queries.session_request(connection, order) == asked
    assert [(line.name, line.quantity, line.unit_amount) for line in asked.lines] == [("Pen", 3, 1000)]
    await CheckoutActivities(engine, provider, dispatch_duration=1).create_payment_session(order)
    assert [state.amount_total for state in provider.sessions.values()] == [order.amount_total] == [3000]


async def test_the_database_refuses_a_currency_that_is_none(engine: AsyncEngine) -> None:
    for wrong in ("USD", "us", "usdx", "", "ud5"):
        with pytest.raises(IntegrityError):
            await change(engine, "pen", currency=wrong)
