"""What customers and operators see of money that comes late, goes back, or is disputed."""

from typing import Any

from playwright.async_api import expect

from tests.browser.visitor import Site, Visitor
from tests.support.eventually import eventually


async def become(site: Site, identifier: str, status: str) -> None:
    body = {"id": identifier, "status": status}
    assert (await site.client.post(f"{site.payment}/_faults/become", json=body)).json()["changed"] is True


async def kept(site: Site, **buying: Any) -> dict[str, Any]:
    order = await site.buy(buying, pay=True)

    async def is_kept() -> bool:
        return (await site.order(order["order_id"]))["payment"]["status"] == "paid"

    await eventually(is_kept)
    return order


async def test_a_customer_sees_what_of_their_money_was_given_back_and_why(visitor: Visitor, site: Site) -> None:
    order = await kept(site, pen=3)
    await visitor.open(f"/orders/{order['order_id']}/view")
    await visitor.sees("On its way to you")
    await site.operator(
        "POST",
        f"/admin/orders/{order['order_id']}/refund",
        json={"lines": [{"sku": "pen", "quantity": 1}], "reason": "Arrived <broken>"},
        headers={"Idempotency-Key": "one"},
    )
    receipt = visitor.page.locator(".receipt")
    await expect(receipt).to_contain_text("partly refunded")
    await expect(receipt.get_by_role("list", name="Refunds")).to_contain_text("Arrived <broken>")
    await expect(receipt.get_by_role("list", name="Refunds")).to_contain_text("-$10.00")
    await expect(visitor.page.locator(".lead")).to_contain_text("$10.00 of what you paid was given back to you.")


async def test_a_refund_under_way_is_told_as_such_until_it_has_arrived(visitor: Visitor, site: Site) -> None:
    order = await kept(site, notebook=2)
    form = {"session_id": order["session_id"], "status": "pending"}
    made = (await site.client.post(f"{site.payment}/_faults/refund", json=form)).json()
    await visitor.open(f"/orders/{order['order_id']}/view")
    await visitor.sees("Your money is on its way back")
    await expect(visitor.page.locator(".receipt")).to_contain_text("on its way back")
    await become(site, made["id"], "succeeded")
    await visitor.sees("Your money was given back")


async def test_a_customer_who_pays_by_a_debit_is_told_to_wait_and_never_asked_to_pay_again(
    visitor: Visitor, site: Site
) -> None:
    await visitor.fill_cart("Pen")
    await visitor.press.click()
    session_id = await visitor.at_payment()
    debit = visitor.page.locator(".debits form").filter(has_text="stays under way")
    await debit.get_by_role("button").click()
    await visitor.sees("Your payment is on its way")
    await expect(visitor.page.locator(".lead")).to_contain_text("You need do nothing, and do not pay again")
    await expect(visitor.page.get_by_role("link", name="Pay $")).to_have_count(0)
    await expect(visitor.page.get_by_role("button", name="Cancel the order")).to_have_count(0)
    address = visitor.page.url
    await visitor.page.close()  # and come back another day

    visitor.page = await visitor.context.new_page()
    await visitor.open()
    waiting = visitor.page.locator("#waiting")
    await expect(waiting).to_contain_text("Your payment is on its way")
    await expect(waiting.get_by_role("link")).to_have_count(1)
    await expect(visitor.page.locator("#empty")).to_be_visible()
    await visitor.fill_cart("Pen")  # the same once more
    await visitor.press.click()
    await expect(waiting).to_contain_text("do not pay again")
    assert len(await site.orders()) == 1
    await visitor.fill_cart("Notebook")  # something else may be bought
    await visitor.press.click()
    assert await visitor.at_payment() != session_id

    await visitor.page.goto(address)
    await become(site, session_id, "succeeded")
    await visitor.sees("On its way to you")


async def test_a_debit_that_fails_is_told_to_its_customer(visitor: Visitor, site: Site) -> None:
    order = await site.buy({"pen": 1})
    form = {"session_id": order["session_id"], "payment_method": "pm_usBankAccount_processing"}
    (await site.client.post(f"{site.payment}/api/submit_payment", data=form)).raise_for_status()
    await visitor.open(f"/checkout/success?session_id={order['session_id']}")  # the address says paid, and it is not
    await visitor.sees("Your payment is on its way")
    await become(site, order["session_id"], "failed")
    await visitor.sees("This order was cancelled")
    await expect(visitor.page.locator(".lead")).to_contain_text("Your bank did not make the payment.")


async def test_an_operator_sees_a_dispute_and_until_when_to_answer(visitor: Visitor, site: Site) -> None:
    order = await kept(site, pen=1)
    body = {"session_id": order["session_id"], "reason": "product_not_received"}
    made = (await site.client.post(f"{site.payment}/_faults/dispute", json=body)).json()
    await visitor.sign_in(f"/admin/console/orders/{order['order_id']}")
    note = visitor.page.locator(".note.bad")
    await expect(note).to_contain_text("disputes $10.00: product not received")
    await expect(note.locator("time")).to_have_count(1)
    await expect(visitor.page.get_by_text("Refund…")).to_have_count(0)
    await become(site, made["id"], "won")
    await expect(note).to_have_count(0)
    await expect(visitor.page.locator("section[aria-labelledby=back-title]")).to_contain_text("won")
    await expect(visitor.page.locator(".timeline")).to_contain_text("the shop keeps the money")


async def test_an_operator_gives_back_some_of_the_goods_and_then_an_amount(visitor: Visitor, site: Site) -> None:
    order = await kept(site, pen=2, notebook=1)
    await visitor.sign_in(f"/admin/console/orders/{order['order_id']}")
    await visitor.page.get_by_text("Refund…").click()
    goods = visitor.page.get_by_role("form", name="Refund some of the goods")
    await goods.get_by_label("Pen, of 2").fill("1")
    await goods.get_by_label("The goods return to stock").uncheck()
    await goods.get_by_role("button", name="Refund these goods").click()
    await expect(visitor.page.get_by_role("status").first).to_contain_text("given back")
    await expect(visitor.page.locator("#live")).to_contain_text("partly refunded")
    await visitor.page.get_by_text("Refund…").click()
    await expect(visitor.page.get_by_role("button", name="Refund $14.50")).to_be_visible()
    amount = visitor.page.get_by_role("form", name="Refund an amount")
    await amount.get_by_label("Amount in USD").fill("4.50")
    await amount.get_by_role("button", name="Refund this amount").click()
    await expect(visitor.page.get_by_role("status").first).to_contain_text("given back")
    found = await site.operator("GET", f"/admin/orders/{order['order_id']}")
    assert [(each["amount"], each["lines"]) for each in found["refunds"]] == [
        (1000, [{"sku": "pen", "quantity": 1, "restocked": False}]),
        (450, []),
    ]
    assert found["payment"]["kept"] == 1000
