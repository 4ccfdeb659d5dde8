"""What an operator sees and does, and what nobody else can."""

import json

import pytest
from playwright.async_api import expect

from stack.stack import Stack
from tests.browser.visitor import NETWORK, Site, Visitor


async def test_a_stranger_is_asked_for_the_token_and_a_wrong_one_refused(visitor: Visitor, site: Site) -> None:
    visitor.expected_complaints.append("401")
    await visitor.open("/admin/console/stock")
    await visitor.page.get_by_label("Operator token").fill("guess")
    await visitor.page.get_by_role("button", name="Sign in").click()
    await expect(visitor.page.get_by_role("alert")).to_have_text("That is not the operator token.")
    await visitor.page.get_by_label("Operator token").fill(site.token)
    await visitor.page.get_by_role("button", name="Sign in").click()
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Stock")
    (cookie,) = await visitor.context.cookies()
    assert (cookie.get("httpOnly"), cookie.get("sameSite"), site.token in json.dumps(cookie)) == (True, "Strict", False)
    await visitor.page.get_by_role("button", name="Sign out").click()
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Operators")


@pytest.mark.parametrize("forgery", ["no token", "no origin", "foreign origin", "forged cookie"])
async def test_a_forged_post_does_nothing(visitor: Visitor, site: Site, forgery: str) -> None:
    await visitor.sign_in("/admin/console/stock")
    token = await visitor.page.locator("meta[name=csrf]").get_attribute("content")
    (cookie,) = await visitor.context.cookies()
    value = cookie["value"]
    headers = {"Origin": site.url, "Cookie": f"{cookie['name']}={value}"}
    form = {"csrf": token, "sku": "pen", "quantity": "5"}
    if forgery == "no token":
        form["csrf"] = "x" * 64
    elif forgery == "no origin":
        del headers["Origin"]
    elif forgery == "foreign origin":
        headers["Origin"] = "https://evil.example"
    else:
        headers["Cookie"] = f"{cookie['name']}=9{value}"
    before = (await site.client.get(f"{site.url}/products")).json()["products"][0]["available"]
    answer = await site.client.post(f"{site.url}/admin/console/restock", data=form, headers=headers)
    assert answer.status_code == (303 if forgery == "forged cookie" else 403)
    assert "login" in answer.headers.get("location", "login")
    assert (await site.client.get(f"{site.url}/products")).json()["products"][0]["available"] <= before


async def test_orders_are_found_by_what_one_knows_of_them(visitor: Visitor, site: Site) -> None:
    waiting, paid = await site.buy({"pen": 1}), await site.buy({"notebook": 1}, pay=True)
    await visitor.sign_in("/admin/console/orders")
    rows = visitor.page.locator("tbody tr")
    await visitor.page.get_by_label("Order, session, key or email").fill(site.email)
    await visitor.page.get_by_role("button", name="Search").click()
    await expect(rows).to_have_count(2)
    await visitor.page.get_by_label("Status").select_option("awaiting_payment")
    await visitor.page.get_by_role("button", name="Search").click()
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text(waiting["checkout_key"])
    await visitor.open(f"/admin/console/orders?q={paid['session_id']}")
    await expect(rows).to_contain_text(paid["checkout_key"])
    await rows.get_by_role("link").click()
    await expect(visitor.page.locator("#live")).to_contain_text(site.email)
    link = await visitor.page.get_by_role("link", name="Checkout", exact=True).get_attribute("href")
    assert link is not None
    assert link.endswith(f"/namespaces/default/workflows/{paid['checkout_key']}")


async def test_stock_is_added(visitor: Visitor, site: Site) -> None:
    await visitor.sign_in("/admin/console/stock")
    left = visitor.page.locator("#left-desk-lamp")
    before = int((await left.inner_text()).replace(",", ""))
    await visitor.page.locator("#sku").fill("desk-lamp")
    await visitor.page.get_by_label("Add", exact=True).fill("7")
    await visitor.page.get_by_role("button", name="Restock").click()
    await expect(visitor.page.get_by_role("status").first).to_have_text("The stock was added.")
    await expect(left).to_have_text(f"{before + 7:,}")


async def test_an_order_is_refunded_once(visitor: Visitor, site: Site) -> None:
    order = await site.buy({"pen": 1}, pay=True)
    await visitor.sign_in(f"/admin/console/orders/{order['order_id']}")
    await visitor.page.get_by_text("Refund…").click()
    await visitor.page.get_by_role("button", name="Refund $10.00").click()
    await expect(visitor.page.get_by_role("status").first).to_contain_text("given back")
    await expect(visitor.page.locator("h1")).to_contain_text("refunded")
    assert (await site.order(order["order_id"]))["payment"]["status"] == "refunded"


@pytest.mark.parametrize("button", ["Settle now", "Resend the last event"])
async def test_a_payment_whose_webhook_was_lost_is_found(visitor: Visitor, site: Site, button: str) -> None:
    order = await site.buy({"pen": 1})
    session = {"session_id": order["session_id"]}
    fault = {"point": "webhook", "action": "lose", "times": None, "match": session}
    (await site.client.put(f"{site.payment}/_faults", json=fault)).raise_for_status()
    (await site.client.post(f"{site.payment}/api/submit_payment", data=session)).raise_for_status()
    await visitor.sign_in(f"/admin/console/orders/{order['order_id']}")
    await expect(visitor.page.locator("h1")).to_contain_text("awaiting payment")
    await visitor.page.get_by_role("button", name=button).click()
    await expect(visitor.page.locator("h1")).to_contain_text("dispatched")


async def test_the_overview_charts_the_orders_and_gives_the_audits_verdict(visitor: Visitor, site: Site) -> None:
    await site.buy({"pen": 1}, pay=True)
    await visitor.sign_in()
    await expect(visitor.page.locator(".figures")).to_contain_text("all in order", timeout=40_000)
    await expect(visitor.page.locator("#live")).to_contain_text("Nothing is stuck")
    assert await visitor.page.locator(".chart rect.c-kept").count() > 0
    await visitor.page.get_by_role("link", name="Week").click()
    await expect(visitor.page.locator(".switch [aria-current]")).to_have_text("Week")
    await visitor.open("/admin/console/audit")
    await expect(visitor.page.locator(".invariants > li")).to_have_count(11)


async def test_everything_is_audited_on_demand_and_the_page_tells_how_far_it_is(visitor: Visitor, site: Site) -> None:
    await site.buy({"pen": 1}, pay=True)
    await visitor.sign_in("/admin/console/audit")
    async with visitor.page.expect_request("**/admin/console/audit/progress"):
        await visitor.page.get_by_role("button", name="Check everything").click()
    await expect(visitor.page.locator(".note").last).to_contain_text("orders, both ledgers, piece by piece")


@pytest.mark.parametrize("part", ["worker", "gateway"])
async def test_a_process_is_killed_and_the_order_survives(
    visitor: Visitor, site: Site, stack: Stack, part: str
) -> None:
    visitor.expected_complaints.append(NETWORK)
    order = await site.buy({"pen": 1})
    await visitor.sign_in()
    before = stack[part].pid
    await visitor.page.get_by_role("button", name=f"Kill {part}").click()
    await expect(visitor.page.locator("#said")).to_contain_text("done")
    form = {"session_id": order["session_id"]}
    (await site.client.post(f"{site.payment}/api/submit_payment", data=form)).raise_for_status()
    row = visitor.page.locator("tbody tr").filter(has_text=order["checkout_key"])
    await expect(row).to_contain_text("dispatched", timeout=40_000)
    assert stack[part].pid != before
