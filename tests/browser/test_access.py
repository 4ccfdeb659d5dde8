"""For everybody: by keyboard, by screen reader, on a small phone, in either colour scheme."""

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped] # it has no stubs
from playwright.async_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.visitor import Site, Visitor

# WCAG 2.2 level AA and axe's own advice; only what blocks somebody is a failure.
SERIOUS = {"serious", "critical"}
NARROW = {"width": 360, "height": 740}


async def _pages(site: Site) -> dict[str, str]:
    """An address for every kind of page there is."""
    waiting, paid = await site.buy({"pen": 1}), await site.buy({"notebook": 2}, pay=True)
    over = await site.buy({"pen": 1})
    await site.client.post(f"{site.url}/orders/{over['order_id']}/cancel")
    return {
        "storefront": "/?sku=pen&quantity=2",
        "waiting order": f"/orders/{waiting['order_id']}/view",
        "paid order": f"/orders/{paid['order_id']}/view",
        "cancelled order": f"/orders/{over['order_id']}/view",
        "no such order": "/orders/ord_none/view",
        "payment": waiting["payment_url"].removeprefix(site.payment),
        "paid payment": paid["payment_url"].removeprefix(site.payment),
        "sign in": "/admin/login",
        "overview": "/admin",
        "orders": "/admin/console/orders",
        "order inside": f"/admin/console/orders/{paid['order_id']}",
        "stock": "/admin/console/stock",
        "audit": "/admin/console/audit",
    }


async def _walk(visitor: Visitor, name: str, path: str) -> Page:
    base = visitor.site.payment if "payment" in name else visitor.site.url
    await visitor.page.goto(base + path)
    await visitor.page.wait_for_load_state("load")
    return visitor.page


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_has_a_serious_barrier(visit: Visit, site: Site, scheme: str) -> None:
    visitor = await visit(color_scheme=scheme, reduced_motion="reduce")
    visitor.expected_complaints.append("404")
    barriers = []
    for name, path in (await _pages(site)).items():
        if name == "overview":
            await visitor.sign_in()
        page = await _walk(visitor, name, path)
        found = (await Axe().run(page)).response["violations"]
        barriers += [
            f"{name}: {each['id']} at {each['nodes'][0]['target']}: {each['nodes'][0]['failureSummary']}"
            for each in found
            if each["impact"] in SERIOUS
        ]
    assert not barriers


async def test_no_page_scrolls_sideways_on_a_small_phone(visit: Visit, site: Site) -> None:
    visitor = await visit(viewport=NARROW, has_touch=True, is_mobile=True)
    visitor.expected_complaints.append("404")
    wide = []
    for name, path in (await _pages(site)).items():
        if name == "overview":
            await visitor.sign_in()
        page = await _walk(visitor, name, path)
        width = await page.evaluate("document.documentElement.scrollWidth")
        if width > NARROW["width"]:
            wide.append(f"{name}: {width} px")
    assert not wide


async def test_a_phone_buys(visit: Visit, site: Site) -> None:
    visitor = await visit(viewport=NARROW, has_touch=True, is_mobile=True)
    await visitor.fill_cart("Tote bag")
    await visitor.page.locator("#cart-bar").tap()
    await visitor.press.tap()
    await visitor.at_payment()
    await visitor.pay()
    await visitor.sees("On its way to you")


async def test_the_keyboard_alone_buys_and_pays(visitor: Visitor, site: Site) -> None:
    page = await visitor.open()

    async def tab_to(label: str) -> None:
        for _ in range(60):
            await page.keyboard.press("Tab")
            focused = page.locator(":focus")
            name = await focused.evaluate(
                "e => e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.innerText"
            )
            if name.strip().startswith(label):
                outline = await focused.evaluate("e => getComputedStyle(e).outlineStyle")
                assert outline != "none", f"nobody sees that {label} has the focus"
                return
        pytest.fail(f"{label} cannot be reached")

    await page.keyboard.press("Tab")
    await expect(page.locator(":focus")).to_have_text("Skip to the content")
    await page.keyboard.press("Enter")
    await tab_to("Add Pen to the cart")
    await page.keyboard.press("Enter")
    await expect(page.locator(":focus")).to_have_attribute("aria-label", "One Pen more")
    await page.keyboard.press("Enter")
    await expect(visitor.press).to_have_text("Buy for $20.00")
    await tab_to("Email")
    await page.keyboard.type(site.email)
    await tab_to("Buy for")
    await page.keyboard.press("Enter")
    await visitor.at_payment()
    await tab_to("4242 4242 4242 4242")
    await page.keyboard.press("Enter")
    await expect(page.locator("#pay")).to_be_focused()
    await page.keyboard.press("Enter")
    await visitor.sees("On its way to you")


async def test_a_screen_reader_hears_what_happens(visitor: Visitor, site: Site) -> None:
    """What changes by itself is announced: each lies in a live region, and there is one of every landmark."""
    order = await site.buy({"pen": 1})
    page = await visitor.open(f"/orders/{order['order_id']}/view")
    for role in ("banner", "main", "contentinfo", "navigation", "complementary"):
        await expect(page.get_by_role(role)).to_have_count(1)
    await expect(page.get_by_role("status").filter(has_text="Waiting for your payment")).to_have_count(1)
    await expect(page.locator("[aria-current=step]")).to_contain_text("Awaiting payment")
    await visitor.open()
    for region in ("#trouble[role=alert]", "#going[role=status]"):
        await expect(page.locator(region)).to_have_count(1)
