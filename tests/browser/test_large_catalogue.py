"""The shop with 10,000 products: light pages, a cart that spans them, and a search."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Request, expect
from sqlalchemy import text

from db.engine import create_engine
from stack.config import StackConfig
from stack.stack import Stack
from tests.browser.conftest import Visit
from tests.browser.visitor import NETWORK, Site, Visitor
from tests.support.catalogue import stock_up
from tests.support.stacks import brisk


@pytest.fixture(scope="module")
async def stack(scratch: Path) -> AsyncIterator[Stack]:
    async with Stack(StackConfig.for_tests(scratch / "large-catalogue", adapt=brisk)) as stack:
        engine = create_engine(stack.database_url)
        await stock_up(engine, 10_000)
        await engine.dispose()
        yield stack


async def test_a_cart_is_filled_on_several_pages_and_bought(visitor: Visitor, site: Site) -> None:
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
    [order] = await site.orders()
    lines = (await site.order(order["order_id"]))["lines"]
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


async def reprice(stack: Stack, sku: str, amount: int) -> None:
    engine = create_engine(stack.database_url, pool_size=1)
    async with engine.begin() as connection:
        statement = text("UPDATE shop.products SET unit_amount = :amount WHERE sku = :sku")
        await connection.execute(statement, {"amount": amount, "sku": sku})
    await engine.dispose()


async def test_a_price_that_changes_before_the_press_is_told_and_can_be_agreed_to(
    visitor: Visitor, stack: Stack
) -> None:
    visitor.expected_complaints.append(NETWORK)
    await visitor.fill_cart("Thing 1")
    await expect(visitor.press).to_have_text("Buy for $1.01")
    await visitor.page.route("**/products?*", lambda route: route.abort())  # the tab has not heard of it
    await reprice(stack, "thing-00001", 250)
    await visitor.page.unroute("**/products?*")
    await visitor.press.click()
    await expect(visitor.page.locator("#trouble")).to_contain_text("The price has changed")
    await expect(visitor.page.locator("#lines")).to_contain_text("Now $2.50 each; it was $1.01")
    await expect(visitor.press).to_have_text("Buy for $2.50")
    await visitor.press.click()
    await visitor.at_payment()
    await expect(visitor.page.get_by_role("button", name="Pay $2.50")).to_be_visible()


async def test_a_price_that_changes_while_the_page_is_open_shows_by_itself(visitor: Visitor, stack: Stack) -> None:
    await visitor.fill_cart("Thing 2")
    await reprice(stack, "thing-00002", 333)
    await expect(visitor.page.locator("[data-sku='thing-00002'] .price")).to_have_text("$3.33")
    await expect(visitor.page.locator("#lines")).to_contain_text("Now $3.33 each; it was $1.02")
    await expect(visitor.press).to_have_text("Buy for $3.33")


async def test_without_script_the_cart_goes_along(visit: Visit, site: Site) -> None:
    visitor = await visit(java_script_enabled=False)
    page = await visitor.open()
    await page.get_by_label("Quantity of Pen", exact=True).fill("2")
    await page.get_by_label("Email").fill(site.email)
    await page.get_by_role("button", name="Next page").click()
    await expect(page.get_by_label("Pen, $10.00")).to_have_value("2")
    await page.get_by_label("Quantity of Thing 20", exact=True).fill("1")
    await visitor.press.click()
    await visitor.at_payment()
    await expect(page.get_by_role("button", name="Pay $21.20")).to_be_visible()


async def test_the_operators_pages_are_light_too(visitor: Visitor) -> None:
    await visitor.sign_in()
    for path in ("/admin", "/admin/console/stock"):
        answer = await visitor.page.goto(visitor.site.url + path)
        assert answer
        assert len(await answer.body()) < 60_000
