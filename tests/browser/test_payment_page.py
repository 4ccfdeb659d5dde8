"""At the payment service: every way out of the payment page, and what the shop then says."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from playwright.async_api import expect

from stack.probes import free_ports
from stack.stack import Stack
from tests.browser.conftest import Visit
from tests.browser.visitor import SENT, Site, Visitor
from tests.support.stacks import environment_of

CANCELLED = "This order was cancelled"


async def test_a_declined_card_is_no_end_and_the_next_one_pays(visitor: Visitor, site: Site) -> None:
    visitor.expected_complaints.append("402")
    await visitor.fill_cart("Pen")
    await visitor.press.click()
    await visitor.at_payment()
    await visitor.pay("4000 0000 0000 0002")
    await expect(visitor.page.get_by_role("alert").filter(visible=True)).to_contain_text("declined")
    await visitor.pay()
    await visitor.sees(SENT)
    assert [order["status"] for order in await site.orders()] == ["dispatched"]


async def test_a_cancelled_payment_thanks_nobody_and_keeps_the_cart(visitor: Visitor, site: Site) -> None:
    await visitor.fill_cart("Pen")
    await visitor.press.click()
    await visitor.at_payment()
    await visitor.page.get_by_role("button", name="Cancel payment").click()
    await visitor.sees(CANCELLED)
    await expect(visitor.page.locator("main")).not_to_contain_text("Thank you")
    assert [order["reason"] for order in await site.orders()] == ["customer"]
    await visitor.open()
    await expect(visitor.press).to_have_text("Buy for $10.00")
    await visitor.press.click()
    await visitor.at_payment()
    assert len(await site.orders()) == 2


async def test_nobody_is_thanked_at_the_success_address_of_an_unpaid_order(visitor: Visitor, site: Site) -> None:
    order = await site.buy({"pen": 1})
    await visitor.open(f"/checkout/success?session_id={order['session_id']}")
    await visitor.sees("Waiting for your payment")
    await expect(visitor.page.locator("main")).not_to_contain_text("Thank you")
    await visitor.open(f"/checkout/cancel?order_id={order['order_id']}")
    await expect(visitor.page.locator("main")).to_contain_text("You came back without paying")


async def test_addresses_of_no_order_say_so(visitor: Visitor) -> None:
    visitor.expected_complaints.append("404")
    for path in ("/orders/ord_none/view", "/checkout/success?session_id=cs_none", "/checkout/cancel", "/nowhere"):
        await visitor.open(path)
        await expect(visitor.page.get_by_role("heading", level=1)).to_contain_text("There is no such")


@pytest.fixture
async def hasty_shop(stack: Stack, site: Site) -> AsyncIterator[Site]:
    """A second gateway of the same stack, which gives customers 10 seconds to pay."""
    port = free_ports(1)[0]
    env = environment_of(stack) | {
        "CHECKOUT_PAYMENT_TIMEOUT": "10",
        "CHECKOUT_API_PORT": str(port),
        "CHECKOUT_PUBLIC_URL": "",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", env=env, cwd=stack.config.data_dir, stderr=asyncio.subprocess.DEVNULL
    )
    hasty = replace(site, url=f"http://localhost:{port}")
    try:
        async with asyncio.timeout(30):
            while not await _is_ready(hasty):  # noqa: ASYNC110 - another process: there is no event to wait for
                await asyncio.sleep(0.1)
        yield hasty
    finally:
        os.kill(process.pid, signal.SIGTERM)
        await process.wait()


async def _is_ready(site: Site) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return (await site.client.get(f"{site.url}/readyz")).is_success
    return False


async def test_the_time_to_pay_runs_out_before_the_customers_eyes(visit: Visit, hasty_shop: Site) -> None:
    visitor = await visit()
    visitor.site = hasty_shop
    order = await hasty_shop.buy({"pen": 1})
    await visitor.open(f"/orders/{order['order_id']}/view")
    await expect(visitor.page.locator("[data-deadline]")).to_contain_text("left to pay")
    await expect(visitor.page.locator("#headline")).to_have_text(CANCELLED, timeout=40_000)
    await expect(visitor.page.locator(".lead")).to_contain_text("The time to pay was over.")
    await visitor.page.goto(order["payment_url"])
    await expect(visitor.page.get_by_role("heading", level=1)).to_contain_text("expired")
