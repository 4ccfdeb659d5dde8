"""The order's page lives: by events, by polling, and through a gateway that dies under it."""

import asyncio
import time

from playwright.async_api import Request, expect

from stack.stack import Stack
from tests.browser.visitor import NETWORK, SENT, Site, Visitor

WAITING = "Waiting for your payment"


async def _pay(site: Site, order: dict[str, str]) -> None:
    form = {"session_id": order["session_id"]}
    (await site.client.post(f"{site.payment}/api/submit_payment", data=form)).raise_for_status()


async def test_the_page_follows_its_order_without_being_asked_again_and_again(visitor: Visitor, site: Site) -> None:
    order = await site.buy({"pen": 2})
    looks: list[Request] = []
    await visitor.open(f"/orders/{order['order_id']}/view")
    visitor.page.on("request", lambda request: looks.append(request) if request.url.endswith("/view") else None)
    await visitor.sees(WAITING)
    await visitor.page.wait_for_timeout(1000)
    assert not looks, "a page with events open does not poll"
    await _pay(site, order)
    await visitor.sees(SENT)
    assert 1 <= len(looks) <= 4


async def test_the_page_survives_a_gateway_that_is_killed(visitor: Visitor, site: Site, stack: Stack) -> None:
    visitor.expected_complaints.append(NETWORK)
    order = await site.buy({"pen": 1})
    await visitor.open(f"/orders/{order['order_id']}/view")
    await visitor.sees(WAITING)
    await stack["gateway"].stop()
    connection = visitor.page.locator("#connection")
    try:
        await expect(connection).to_have_text("Reconnecting…")
        await _pay(site, order)
    finally:
        await stack["gateway"].start()
    await visitor.sees(SENT)
    await expect(connection).to_be_hidden()


async def test_the_stream_resumes_behind_the_last_event_seen(site: Site) -> None:
    order = await site.buy({"pen": 1})
    address = f"{site.url}/orders/{order['order_id']}/events"
    seen = []
    resume = {"Last-Event-ID": "1"}
    async with asyncio.timeout(20), site.client.stream("GET", address, headers=resume) as stream:
        async for line in stream.aiter_lines():
            seen += [line.removeprefix("event: ")] if line.startswith("event: ") else []
            if line.startswith("id: 2"):
                await _pay(site, order)
            if line.startswith("event: dispatched"):
                break
    assert seen == ["awaiting_payment", "paid", "fulfilled", "dispatched"]
    answer = await site.client.get(f"{site.url}/orders/ord_none/events")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_without_events_the_page_polls(visitor: Visitor, site: Site) -> None:
    await visitor.page.add_init_script("delete window.EventSource")
    order = await site.buy({"pen": 1})
    await visitor.open(f"/orders/{order['order_id']}/view")
    await visitor.sees(WAITING)
    await _pay(site, order)
    await visitor.sees(SENT)


async def test_a_refund_shows_on_a_page_left_open(visitor: Visitor, site: Site) -> None:
    order = await site.buy({"pen": 1}, pay=True)
    await visitor.open(f"/orders/{order['order_id']}/view")
    await visitor.sees(SENT)
    await visitor.page.wait_for_timeout(1500)  # the stream has ended with the dispatch and is open again
    await site.operator("POST", f"/admin/orders/{order['order_id']}/refund")
    await visitor.sees("Your money was given back")
    await expect(visitor.page.locator(".receipt")).to_contain_text("refunded")


async def test_an_unpaid_order_is_cancelled_from_its_page(visitor: Visitor, site: Site) -> None:
    took = []
    while not took or (min(took) >= 5 and len(took) < 3):  # a machine that stalls only ever makes it slower
        order = await site.buy({"pen": 1})
        await visitor.open(f"/orders/{order['order_id']}/view")
        pay = visitor.page.get_by_role("link", name="Pay $10.00")
        await expect(pay).to_have_attribute("href", order["payment_url"])
        begin = time.monotonic()
        await visitor.page.get_by_role("button", name="Cancel the order").click()
        await visitor.sees("This order was cancelled")
        took.append(time.monotonic() - begin)
        assert (await site.order(order["order_id"]))["reason"] == "customer"
    assert min(took) < 5


_WATCH_THE_BAR = """() => {
  window.seen = [];
  setInterval(() => {
    const bar = document.querySelector("progress[data-until]");
    if (bar) window.seen.push(bar.value);
  }, 50);
}"""


async def test_the_bar_fills_while_the_order_is_packed(visitor: Visitor, site: Site) -> None:
    for _ in range(5):  # it lives for a second: a machine that stalls may never show it
        order = await site.buy({"pen": 1})
        await visitor.open(f"/orders/{order['order_id']}/view")
        await visitor.sees(WAITING)
        await visitor.page.evaluate(_WATCH_THE_BAR)
        await _pay(site, order)
        await visitor.sees(SENT)
        await expect(visitor.page.locator("progress[data-until]")).to_have_count(0)
        seen = await visitor.page.evaluate("() => window.seen")
        assert seen == sorted(seen), "it only ever fills"
        if len(set(seen)) >= 3:
            return
    raise AssertionError(f"the bar did not move: {seen}")
