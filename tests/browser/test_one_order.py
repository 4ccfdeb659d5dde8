"""Double clicks, reloads, tabs, proxies, a broken storage: whatever a hasty customer does, never a second order."""

import asyncio

import pytest
from playwright.async_api import Route, expect

from tests.browser.visitor import NETWORK, SENT, Site, Visitor


async def test_a_double_click_makes_one_order(visitor: Visitor, site: Site) -> None:
    await visitor.fill_cart("Pen")
    await visitor.press.dblclick()
    await visitor.at_payment()
    assert len(await site.orders()) == 1


async def test_a_reload_while_the_order_is_made_and_while_it_is_paid_makes_one_order(
    visitor: Visitor, site: Site
) -> None:
    lost = asyncio.Event()

    async def lose_the_first(route: Route) -> None:
        """On its way back: the key is all that this browser has."""
        if lost.is_set():
            await route.continue_()
            return
        await route.fetch()
        lost.set()  # and not another word; to unroute it would let the request go on, and race with the reload

    await visitor.fill_cart("Pen")
    await visitor.page.route("**/checkout/*", lose_the_first)
    await visitor.press.click()
    await asyncio.wait_for(lost.wait(), 30)
    await expect(visitor.page.locator("#going")).to_contain_text("Setting your things aside")
    await visitor.page.reload()
    session = await visitor.at_payment()
    await visitor.page.reload()
    await visitor.open()
    await expect(visitor.page.locator("#waiting")).to_contain_text("not paid yet")
    await visitor.press.click()
    assert await visitor.at_payment() == session
    assert len(await site.orders()) == 1


@pytest.mark.parametrize("status", [403, 502, 504])
async def test_what_a_proxy_says_is_no_answer_and_the_key_is_kept(visitor: Visitor, site: Site, status: int) -> None:
    """The gateway dies behind it, after the checkout has begun."""
    said = []
    visitor.expected_complaints.append(f"status of {status}")

    async def answer(route: Route) -> None:
        if said:
            await route.continue_()
            return
        said.append(status)
        await route.fetch()
        await route.fulfill(status=status, content_type="text/html", body="<h1>Bad gateway</h1>")

    await visitor.page.route("**/checkout/*", answer)
    await visitor.fill_cart("Pen")
    await visitor.press.click()
    await visitor.at_payment()
    assert said == [status]
    assert len(await site.orders()) == 1


@pytest.mark.parametrize("status", [200, 404])
async def test_a_proxys_page_in_place_of_the_order_does_not_end_it(visitor: Visitor, site: Site, status: int) -> None:
    """The gateway is being replaced: whatever the proxy says meanwhile, the key of the unpaid order is kept."""
    visitor.expected_complaints.append(f"status of {status}")
    await visitor.fill_cart("Pen")
    await visitor.press.click()
    session = await visitor.at_payment()

    async def answer(route: Route) -> None:
        await route.fulfill(status=status, content_type="text/html", body="<h1>Back soon</h1>")

    await visitor.page.route("**/orders/**", answer)
    await visitor.open()
    await expect(visitor.page.locator("#waiting")).to_be_visible()
    await visitor.page.unroute("**/orders/**")
    await visitor.press.click()
    assert await visitor.at_payment() == session
    assert len(await site.orders()) == 1


async def test_back_from_the_payment_and_after_paying_makes_no_second_order(visitor: Visitor, site: Site) -> None:
    await visitor.fill_cart("Pen")
    await visitor.press.click()
    session = await visitor.at_payment()
    await visitor.page.go_back()
    await expect(visitor.page.locator("#waiting")).to_contain_text("not paid yet")
    await visitor.press.click()
    assert await visitor.at_payment() == session
    await visitor.pay()
    await visitor.sees(SENT)
    await visitor.page.go_back()  # to the payment page, which says that it is paid
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Payment complete")
    assert len(await site.orders()) == 1


async def test_two_tabs_share_the_cart_and_the_order(visitor: Visitor, site: Site) -> None:
    await visitor.fill_cart("Pen")
    other = Visitor(site, visitor.context, await visitor.context.new_page())
    await other.open()
    await expect(other.press).to_have_text("Buy for $10.00")
    await other.page.get_by_role("button", name="Add Notebook to the cart").click()
    await expect(visitor.press).to_have_text("Buy for $14.50")
    await asyncio.gather(visitor.press.click(), other.press.click())
    assert await visitor.at_payment() == await other.at_payment()
    assert len(await site.orders()) == 1


async def test_many_tabs_at_the_same_instant_claim_one_key(visitor: Visitor) -> None:
    """In processes of their own, as tabs are: where memory is only nearly shared, this finds two keys."""
    tabs = [visitor.page, *[await visitor.context.new_page() for _ in range(3)]]
    await asyncio.gather(*[tab.goto(visitor.site.url + "/") for tab in tabs])
    claim = (
        "([body, at]) => import('/static/memory.js').then((memory) => new Promise((resolve) => setTimeout("
        "() => memory.claim(body).then((checkout) => resolve(checkout.key)), at - Date.now())))"
    )
    forget = "(key) => import('/static/memory.js').then((memory) => memory.endCheckout(key))"
    for _ in range(25):
        at = await visitor.page.evaluate("() => Date.now() + 60")
        body = {"items": [{"sku": "pen", "quantity": 1}]}
        keys = await asyncio.gather(*[tab.evaluate(claim, [body, at]) for tab in tabs])
        assert len(set(keys)) == 1
        await visitor.page.evaluate(forget, keys[0])


@pytest.mark.parametrize(
    "trouble",
    [
        # A connection that died while the page slept: every first try fails.
        """const begin = IDBDatabase.prototype.transaction;
           let tries = 0;
           IDBDatabase.prototype.transaction = function (...how) {
             if (tries++ % 2 === 0) throw new DOMException("gone", "InvalidStateError");
             return begin.apply(this, how);
           };""",
        # A browser without any.
        "Object.defineProperty(window, 'indexedDB', { get() { throw new DOMException('no', 'SecurityError'); } });",
    ],
    ids=["dead connection", "no IndexedDB"],
)
async def test_with_trouble_in_its_storage_the_browser_keeps_the_key(
    visitor: Visitor, site: Site, trouble: str
) -> None:
    await visitor.page.add_init_script(trouble)
    await visitor.fill_cart("Pen")
    await visitor.press.click()
    session = await visitor.at_payment()
    await visitor.open()
    await expect(visitor.page.locator("#waiting")).to_contain_text("not paid yet")
    await visitor.press.click()
    assert await visitor.at_payment() == session
    assert len(await site.orders()) == 1


async def test_with_its_storage_full_the_browser_keeps_the_key_in_its_tab(visitor: Visitor, site: Site) -> None:
    visitor.expected_complaints.append(NETWORK)
    await visitor.page.add_init_script(
        "Object.defineProperty(window, 'indexedDB', { get() { throw new DOMException('no', 'SecurityError'); } });"
        "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };"
    )
    asked: list[str] = []

    async def answer(route: Route) -> None:
        asked.append(route.request.url)
        await route.abort()

    await visitor.fill_cart("Pen")
    await visitor.page.route("**/checkout/*", answer)
    await visitor.press.click()
    await visitor.page.get_by_role("button", name="Stop trying").click()
    await expect(visitor.page.locator("#trouble")).to_contain_text("It can never make a second order")
    stopped = len(asked)
    await visitor.press.click()
    await visitor.page.wait_for_timeout(300)
    await visitor.page.unroute("**/checkout/*")
    await visitor.at_payment()
    assert len(asked) > stopped > 0
    assert len(set(asked)) == 1
    assert len(await site.orders()) == 1
