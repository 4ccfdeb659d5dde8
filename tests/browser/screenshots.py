"""`python -m tests.browser.screenshots [FOLDER]` (`make screenshots`): pictures of every page, for the README.

A stack of its own, with some customers' orders in every state; small files (a palette of 96 colours).
"""

import asyncio
import io
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from stack.config import StackConfig
from stack.stack import Stack
from tests.browser.chromium import ARGUMENTS, find_chromium
from tests.browser.visitor import Site, Visitor

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
COLOURS = 96
DESK = {"width": 1280, "height": 860}
PHONE = {"width": 360, "height": 740}
_SKUS = ("pen", "notebook", "pencil-set", "ink-bottle", "desk-lamp", "tote-bag", "coffee-mug")


class Camera:
    def __init__(self, browser: Browser, site: Site, folder: Path) -> None:
        self._browser, self._shop, self._folder = browser, site, folder

    async def visitor(self, viewport: dict[str, int] = DESK, scheme: str = "light") -> Visitor:
        options: Any = {"viewport": viewport, "color_scheme": scheme, "locale": "en-US", "reduced_motion": "reduce"}
        context = await self._browser.new_context(**options)
        return Visitor(self._shop, context, await context.new_page())

    async def take(self, page: Page, name: str) -> None:
        await page.wait_for_load_state("load")
        await page.wait_for_timeout(400)
        picture = Image.open(io.BytesIO(await page.screenshot()))
        small = picture.convert("RGB").quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        target = self._folder / f"{name}.png"
        small.save(target, optimize=True)
        print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB", flush=True)


async def _some_business(site: Site) -> None:
    """Orders of many customers: most pay, some give up, some are still thinking, two get their money back."""
    choice = random.Random(4)  # the same shop in every picture
    paid = []
    for _ in range(60):
        items = {sku: choice.randint(1, 3) for sku in choice.sample(_SKUS, choice.randint(1, 3))}
        order, mood = await site.buy(items), choice.random()
        session = {"session_id": order["session_id"]}
        if mood < 0.68:
            await site.client.post(f"{site.payment}/api/submit_payment", data=session)
            paid.append(order["order_id"])
        elif mood < 0.86:
            await site.client.post(f"{site.payment}/api/cancel_payment", data=session)
        await asyncio.sleep(choice.random() * 0.3)
    await site.buy({"limited-print": 6}, pay=True)
    await asyncio.sleep(3)
    for order_id in paid[:2]:
        await site.operator("POST", f"/admin/orders/{order_id}/refund")


async def _storefront(camera: Camera) -> None:
    for name, viewport, scheme in (
        ("storefront", DESK, "light"),
        ("storefront-dark", DESK, "dark"),
        ("storefront-phone", PHONE, "light"),
    ):
        visitor = await camera.visitor(viewport, scheme)
        await visitor.fill_cart("Pen", "Notebook")
        await visitor.page.get_by_role("button", name="One Pen more").click()
        await visitor.page.get_by_label("Email").fill("ada@example.com")
        await visitor.page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        await camera.take(visitor.page, name)


async def _order(camera: Camera, site: Site) -> None:
    visitor = await camera.visitor()
    await visitor.fill_cart("Pen", "Notebook", "Bottle of ink")
    await visitor.press.click()
    await visitor.at_payment()
    await visitor.page.locator("[data-card='4242 4242 4242 4242']").click()
    await camera.take(visitor.page, "payment")
    await visitor.open()
    await visitor.page.get_by_role("link", name="See the order").click()
    await visitor.sees("Waiting for your payment")
    await camera.take(visitor.page, "order")
    phone = await camera.visitor(PHONE)
    await phone.open(f"/orders/{visitor.order_id}/view")
    await visitor.page.get_by_role("link", name="Pay $").click()
    await visitor.at_payment()
    await visitor.pay()
    await phone.sees("Paid, and being packed")
    await phone.page.wait_for_timeout(4000)
    await camera.take(phone.page, "order-phone")


async def _console(camera: Camera, site: Site) -> None:
    visitor = await camera.visitor({"width": 1280, "height": 1000})
    await visitor.sign_in()
    await visitor.page.get_by_text("all in order").wait_for(timeout=90_000)
    await camera.take(visitor.page, "console")
    await visitor.page.locator(".charts").scroll_into_view_if_needed()
    await visitor.page.set_viewport_size({"width": 1280, "height": 800})
    await visitor.page.locator("#outcomes-title").evaluate(
        "e => scrollTo(0, e.getBoundingClientRect().top + scrollY - 40)"
    )
    await camera.take(visitor.page, "console-charts")
    found = await site.operator("GET", "/admin/orders?status=dispatched&limit=1")
    await visitor.open(f"/admin/console/orders/{found['orders'][0]['order_id']}")
    await camera.take(visitor.page, "console-order")
    phone = await camera.visitor(PHONE, "dark")
    await phone.sign_in()
    await camera.take(phone.page, "console-phone")


async def main(folder: Path, data: Path) -> None:
    async with Stack(StackConfig.for_tests(data)) as stack, httpx.AsyncClient(timeout=30, trust_env=False) as client:
        site = Site(stack.urls["gateway"], stack.urls["payment"], stack.admin_token, client, "ada@example.com")
        await _some_business(site)
        async with async_playwright() as playwright:
            path = find_chromium(playwright.chromium.executable_path)
            browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            camera = Camera(browser, site, folder)
            await _storefront(camera)
            await _order(camera, site)
            await _console(camera, site)
            await browser.close()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="checkout-screenshots-") as scratch:
        Path(scratch).chmod(0o755)
        asyncio.run(main(target, Path(scratch)))
    sys.stdout.flush()
    # Temporal's runtime may abort while the interpreter is torn down (sdk-python issue 300): leave before that.
    os._exit(0)
