"""What a customer does in the shop, and what an operator can look up behind it."""

import re
import secrets
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.support.patience import answered

NETWORK = r"Failed to load resource|net::ERR_|status of (409|429|502|503)"
"""What Chromium itself writes about requests that fail: expected where a test takes the gateway away."""
PAID = "Paid, and being packed"
SENT = "On its way to you"
"""What an order's page says."""


@dataclass(frozen=True)
class Site:
    """The stack's addresses, and its orders as the operator's API tells them. `email` is this test's own."""

    url: str
    payment: str
    token: str
    client: httpx.AsyncClient
    email: str

    async def orders(self) -> list[dict[str, Any]]:
        """The orders made with this test's email, newest first."""
        found: list[dict[str, Any]] = (await self.operator("GET", f"/admin/orders?q={self.email}"))["orders"]
        return found

    async def buy(self, items: dict[str, int], pay: bool = False) -> dict[str, Any]:
        """An order made without a browser."""
        body = {"items": [{"sku": sku, "quantity": quantity} for sku, quantity in items.items()], "email": self.email}
        url = f"{self.url}/checkout/{secrets.token_hex(8)}"
        answer = (await answered(lambda: self.client.post(url, json=body))).raise_for_status().json()
        if pay:
            form = {"session_id": answer["session_id"]}
            (await self.client.post(f"{self.payment}/api/submit_payment", data=form)).raise_for_status()
        return dict(answer)

    async def take_all(self, sku: str) -> dict[str, Any]:
        """Leave none of a product that other tests may have bought or not: bring some, then hold every one."""
        await self.operator("POST", "/admin/restock", json={"sku": sku, "quantity": 1})
        products = (await answered(lambda: self.client.get(f"{self.url}/products"))).json()["products"]
        return await self.buy({product["sku"]: product["available"] for product in products if product["sku"] == sku})

    async def operator(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        ask = partial(self.client.request, method, self.url + path, headers=headers, **options)
        answer = await (answered(ask) if method == "GET" else ask())
        return dict(answer.raise_for_status().json())

    async def order(self, order_id: str) -> dict[str, Any]:
        answer = await answered(lambda: self.client.get(f"{self.url}/orders/{order_id}"))
        return dict(answer.raise_for_status().json())


@dataclass
class Visitor:
    site: Site
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)
    expected_complaints: list[str] = field(default_factory=list)

    async def open(self, path: str = "/") -> Page:
        await self.page.goto(self.site.url + path)
        return self.page

    async def fill_cart(self, *names: str) -> None:
        """Open the shop and add one of each product, with this test's email."""
        await self.open()
        for name in names:
            await self.page.get_by_role("button", name=f"Add {name} to the cart").click()
        await self.page.get_by_label("Email").fill(self.site.email)

    @property
    def press(self) -> Locator:
        return self.page.locator("#press")

    async def at_payment(self) -> str:
        """Wait for the payment page; answers the session's id."""
        await self.page.wait_for_url(re.compile(re.escape(self.site.payment) + "/payment/"))
        return self.page.url.rpartition("/")[2]

    async def pay(self, card: str = "4242 4242 4242 4242") -> None:
        """At the payment page: take one of the test cards and press Pay."""
        await self.page.locator(f"[data-card='{card}']").click()
        await self.page.locator("#pay").click()

    async def sees(self, headline: str) -> None:
        """Wait until the order's page says so."""
        await expect(self.page.locator("#headline")).to_have_text(headline)

    @property
    def order_id(self) -> str:
        found = re.search(r"/orders/([^/]+)/view", self.page.url)
        assert found, f"{self.page.url} is no order's page"
        return found[1]

    async def sign_in(self, path: str = "/admin") -> None:
        await self.open(path)
        await self.page.get_by_label("Operator token").fill(self.site.token)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.wait_for_url(self.site.url + path)
