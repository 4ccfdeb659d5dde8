"""What a page may weigh and how long it may take, and what it must never do with text that others wrote."""

import pytest
from playwright.async_api import Response

from tests.browser.conftest import Visit
from tests.browser.visitor import Site, Visitor

WEIGHT = 100_000  # bytes, everything a page loads
PAINT = 300  # milliseconds to the first contentful paint
TRIES = 12
BUSY = 4
SCRIPT = "<img src=x onerror=alert(1)><script>alert(2)</script>'\"{{7*7}}"


@pytest.fixture
async def addresses(site: Site) -> dict[str, str]:
    order = await site.buy({"pen": 1})
    return {
        "storefront": site.url + "/",
        "order": f"{site.url}/orders/{order['order_id']}/view",
        "payment": order["payment_url"],
        "overview": site.url + "/admin",
        "order inside": f"{site.url}/admin/console/orders/{order['order_id']}",
        "stock": site.url + "/admin/console/stock",
    }


async def test_every_page_is_light_and_painted_at_once(visit: Visit, site: Site, addresses: dict[str, str]) -> None:
    """Each by a browser that has never been here. Noise only ever adds to a paint: the best of a few tries counts.

    On a machine busy with something else even one word takes long to paint; then a page may take `BUSY` times as long
    as a word does in the same moment.
    """
    operator = await visit()
    await operator.sign_in()
    cookies = [{**cookie} for cookie in await operator.context.cookies()]
    measured = {}
    for name, address in addresses.items():
        paints, words, weight = [], [], 0
        for _ in range(TRIES):
            visitor = await visit(storage_state={"cookies": cookies, "origins": []})
            paint, weight = await _measure(visitor, address)
            paints.append(paint)
            if paint <= PAINT:
                break
            words.append((await _measure(await visit(), f"{site.url}/livez"))[0])
            if len(words) >= 3 and min(paints) <= BUSY * min(words):
                break
        allowed = max(PAINT, BUSY * min(words, default=0))
        measured[name] = (round(min(paints)), round(allowed), weight)
    print("\nfirst paint (ms), what it may take, and weight (bytes):", measured)
    assert {name: found for name, found in measured.items() if found[0] > found[1] or found[2] > WEIGHT} == {}


async def _measure(visitor: Visitor, address: str) -> tuple[float, int]:
    """First contentful paint in milliseconds, and the bytes of everything that came."""
    came: list[Response] = []

    def note(response: Response) -> None:
        came.append(response)

    visitor.page.on("response", note)
    await visitor.page.goto(address, wait_until="load")
    await visitor.page.wait_for_timeout(100)
    painted = await visitor.page.wait_for_function(
        "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    )
    paint = await painted.json_value()
    sizes = [await response.request.sizes() for response in came if "/events" not in response.url]
    await visitor.context.close()
    return float(paint), sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)


async def test_nothing_is_loaded_from_anywhere_else(visitor: Visitor, addresses: dict[str, str]) -> None:
    asked: set[str] = set()
    visitor.page.on("request", lambda request: asked.add(request.url))
    await visitor.sign_in()
    for address in addresses.values():
        await visitor.page.goto(address, wait_until="load")
    foreign = {url for url in asked if not url.startswith((visitor.site.url, visitor.site.payment))}
    assert asked
    assert not foreign


async def test_pages_carry_the_strict_policy(site: Site, addresses: dict[str, str]) -> None:
    for name in ("storefront", "order"):
        answer = await site.client.get(addresses[name])
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "style=" not in answer.text
        assert "<script>" not in answer.text


async def test_script_in_any_field_stays_text(visitor: Visitor, site: Site) -> None:
    visitor.expected_complaints.append("4(04|09|22|00)")
    dialogs: list[str] = []
    visitor.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    lines = [{"sku": "pen", "quantity": 1}]
    scripted = {"items": lines, "email": f"<script>alert(3)</script>{site.email}"}
    assert (await site.client.post(f"{site.url}/checkout", json=scripted)).status_code == 422
    # As much as an address may hold of what means something in a page or a template.
    email = f"o'neill&{{{{7*7}}}}-{site.email}"
    body = {"items": lines, "email": email}
    order = (await site.client.post(f"{site.url}/checkout", json=body)).raise_for_status().json()
    await visitor.sign_in()
    page = visitor.page
    for path in (
        f"/?sku={SCRIPT}&quantity={SCRIPT}&email={SCRIPT}",
        f"/orders/{SCRIPT.replace('/', '')}/view?note={SCRIPT}",
        f"/checkout/success?session_id={SCRIPT}",
        f"/admin/console/orders?q={SCRIPT}&status={SCRIPT}",
        f"/admin/login?next=javascript:alert(4)//{SCRIPT}",
        f"/admin?span={SCRIPT}&done={SCRIPT}",
        f"/admin/console/orders/{order['order_id']}",
    ):
        await page.goto(site.url + path)
        assert await page.locator("img[onerror], script:not([src])").count() == 0
    assert email.replace("&", "&amp;") in await page.content()
    await visitor.open()
    cart = {"items": {SCRIPT: 1, "pen": SCRIPT}, "email": SCRIPT}
    await page.evaluate("(cart) => localStorage.setItem('foolscap.cart', JSON.stringify(cart))", cart)
    claim = (
        "(body) => import('/static/memory.js').then((memory) => memory.claim(body)).then((checkout) => checkout.key)"
    )
    assert await page.evaluate(claim, {"key": SCRIPT, "items": [{"sku": SCRIPT, "quantity": 1}]}) == SCRIPT
    await page.reload()
    await page.wait_for_timeout(500)
    assert await page.locator("img[onerror], script:not([src])").count() == 0
    assert not dialogs
