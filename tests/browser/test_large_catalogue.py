"""The shop with 10,000 products: light pages, a cart that spans them, and a search."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Request, expect

from db.engine import create_engine
from stack.config import StackConfig
from stack.stack import Stack
from tests.browser.conftest import Visit
from tests.browser.visitor import Shop, Visitor
from tests.support.catalogue import stock_up


@pytest.fixture(scope="module")
async def stack(scratch: Path) -> AsyncIterator[Stack]:
    async with Stack(StackConfig.for_tests(scratch / "large-catalogue")) as stack:
        engine = create_engine(stack.database_url)
        await stock_up(engine, 10_000)
        await engine.dispose()
        yield stack


async def test_a_cart_is_filled_on_several_pages_and_bought(visitor: Visitor, shop: Shop) -> None:
    await visitor.fill_cart("Pen")
    page = visitor.page
    await page.get_by_role("link", name="Next page").click()
    await page.get_by_role("button", name="Add Thing 20 to the cart").click()
    await expect(page.locator("#lines")).to_contain_text("Pen")
    await expect(visitor.press).to_have_text("Buy for $11.20")
    await page.get_by_role("searchbox", name="Search the shop").fill("thing 9999")
    await page.get_by_role("searchbox", name="Search the shop").press("Enter")
    await page.get_by_role("button", name="Add Thing 9999 to the cart").click()
    await expect(visitor.press).to_have_text("Buy for $112.19")
    await page.get_by_role("button", name="Remove Thing 20").click()
    await expect(visitor.press).to_have_text("Buy for $110.99")
    await visitor.press.click()
    await visitor.at_payment()
    [order] = await shop.orders()
    lines = (await shop.order(order["order_id"]))["lines"]
    assert {line["sku"]: line["quantity"] for line in lines} == {"pen": 1, "thing-09999": 1}


async def test_a_tab_asks_only_about_what_it_shows_and_what_is_in_its_cart(visitor: Visitor) -> None:
    await visitor.fill_cart("Pen")
    await visitor.open("/?page=3")
    async with visitor.page.expect_request(re.compile("/products")) as asked:
        await visitor.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    request: Request = await asked.value
    assert len(re.findall("sku=", request.url)) == 25
    assert "sku=pen" in request.url
    response = await request.response()
    assert response
    assert len(await response.body()) < 8_000


async def test_enter_in_a_field_buys_and_in_the_search_searches(visitor: Visitor) -> None:
    await visitor.fill_cart("Pen")
    await visitor.page.get_by_label("Email").press("Enter")
    await visitor.at_payment()


async def test_without_script_the_cart_goes_along(visit: Visit, shop: Shop) -> None:
    visitor = await visit(java_script_enabled=False)
    page = await visitor.open()
    await page.get_by_label("Quantity of Pen", exact=True).fill("2")
    await page.get_by_label("Email").fill(shop.email)
    await page.get_by_role("button", name="Next page").click()
    await expect(page.get_by_label("Pen, $10.00")).to_have_value("2")
    await page.get_by_label("Quantity of Thing 20", exact=True).fill("1")
    await visitor.press.click()
    await visitor.at_payment()
    await expect(page.get_by_role("button", name="Pay $21.20")).to_be_visible()


async def test_the_operators_pages_are_light_too(visitor: Visitor) -> None:
    await visitor.sign_in()
    for path in ("/admin", "/admin/console/stock"):
        answer = await visitor.page.goto(visitor.shop.url + path)
        assert answer
        assert len(await answer.body()) < 60_000
