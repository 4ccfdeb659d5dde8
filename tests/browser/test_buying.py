"""From the shelf to the order's page, with and without script, and what a customer is told who cannot buy."""

import re

from playwright.async_api import expect

from api.web.assets import asset_url
from api.web.rendering import format_money
from checkout.money import CURRENCIES
from stack.stack import Stack
from tests.browser.conftest import Visit
from tests.browser.visitor import NETWORK, PAID, SENT, Site, Visitor


async def test_a_customer_buys_pays_and_sees_the_order_arrive(visitor: Visitor, site: Site) -> None:
    await visitor.fill_cart("Pen", "Notebook")
    await expect(visitor.press).to_have_text("Buy for $14.50")
    await visitor.press.click()
    await visitor.at_payment()
    await visitor.pay()
    await visitor.sees(SENT)
    steps = visitor.page.locator(".steps li.done h3")
    await expect(steps).to_have_count(5)
    assert [order["status"] for order in await site.orders()] == ["dispatched"]
    await visitor.open()
    await expect(visitor.page.locator("#empty")).to_be_visible()


async def test_a_script_writes_amounts_as_the_server_does(visitor: Visitor) -> None:
    await visitor.open()
    amounts = [(123_000, code) for code in (*CURRENCIES, "gel")]
    script = (
        "async ([path, all]) => { const { money } = await import(path); return all.map((each) => money(...each)); }"
    )
    written = await visitor.page.evaluate(script, [asset_url("page.js"), amounts])
    assert dict(zip(amounts, written, strict=True)) == {each: format_money(*each) for each in amounts}


async def test_another_cart_while_an_order_is_unpaid_is_explained_and_can_replace_it(
    visitor: Visitor, site: Site
) -> None:
    await visitor.fill_cart("Pen")
    await visitor.press.click()
    first = await visitor.at_payment()
    await visitor.open()
    await visitor.page.get_by_role("button", name="Add Notebook to the cart").click()
    await visitor.press.click()
    await expect(visitor.page.locator("#trouble")).to_contain_text("It holds Pen")
    await visitor.page.get_by_role("button", name="Cancel it, buy this cart").click()
    assert await visitor.at_payment() != first
    assert sorted(order["status"] for order in await site.orders()) == ["awaiting_payment", "cancelled"]


async def test_too_little_stock_is_named_and_the_cart_kept(visitor: Visitor, site: Site) -> None:
    visitor.expected_complaints.append(NETWORK)
    await site.operator("POST", "/admin/restock", json={"sku": "limited-print", "quantity": 1})
    await visitor.fill_cart("Pen", "Limited print")
    held = await site.take_all("limited-print")
    try:
        await visitor.press.click()
        await expect(visitor.page.locator("#trouble")).to_contain_text("Not enough left: Limited print")
        await expect(visitor.page.locator("#lines")).to_contain_text("Sold out")
        await visitor.page.get_by_role("button", name="Leave it out").click()
        await visitor.press.click()
        await visitor.at_payment()
    finally:
        await site.client.post(f"{site.url}/orders/{held['order_id']}/cancel")


async def test_the_shop_away_is_said_and_the_same_key_tried_again(visitor: Visitor, site: Site, stack: Stack) -> None:
    visitor.expected_complaints.append(NETWORK)
    await visitor.fill_cart("Pen")
    await stack["gateway"].stop()
    try:
        await visitor.press.click()
        await expect(visitor.page.locator("#going")).to_contain_text("cannot be reached")
    finally:
        await stack["gateway"].start()
    await visitor.at_payment()
    assert len(await site.orders()) == 1


async def test_without_script_the_shop_sells_all_the_same(visit: Visit, site: Site) -> None:
    visitor = await visit(java_script_enabled=False)
    await visitor.open()
    await visitor.page.get_by_label("Quantity of Pen", exact=True).fill("2")
    await visitor.page.get_by_label("Email").fill(site.email)
    await visitor.press.click()
    await visitor.at_payment()
    await visitor.page.get_by_role("button", name="Pay $20.00").click()
    await visitor.page.wait_for_url("**/orders/*/view*")
    # Without script the page looks again by itself, every few seconds.
    await expect(visitor.page.locator("#headline")).to_have_text(re.compile(f"{PAID}|{SENT}"))


async def test_without_script_an_error_is_a_page_that_keeps_the_cart(visit: Visit, site: Site) -> None:
    visitor = await visit(java_script_enabled=False)
    visitor.expected_complaints.append(NETWORK)
    await visitor.open()
    held = await site.take_all("limited-print")
    try:
        await visitor.page.get_by_label("Quantity of Limited print").fill("1")
        await visitor.press.click()
        await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Not enough is left")
        await visitor.page.get_by_role("link", name="Change the cart").click()
        await expect(visitor.page.get_by_label("Quantity of Limited print")).to_have_value("1")
    finally:
        await site.client.post(f"{site.url}/orders/{held['order_id']}/cancel")
