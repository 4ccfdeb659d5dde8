"""Refunds, disputes and payments that take days, on the running stack: in every order, twice, late, and all at once.

Each ends with a clean audit of both ledgers.
"""

import asyncio
from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.shop import Shop


@pytest.fixture(autouse=True)
async def in_order(shop: Shop) -> AsyncIterator[None]:
    yield
    await shop.payment.reset()
    await eventually(shop.is_clean, within=60, what="a clean audit")


async def settled(shop: Shop, order_id: str, **wanted: Any) -> dict[str, Any]:
    """The operator's view of the order, once these parts of its payment are so."""

    async def look() -> dict[str, Any] | None:
        order = await shop.seen_by_operator(order_id)
        return order if wanted.items() <= order["payment"].items() else None

    return await eventually(look, within=40, what=f"{wanted} of {order_id}")


async def at_the_provider(shop: Shop, order: dict[str, Any]) -> list[dict[str, Any]]:
    """The refunds that the payment service has of the order."""
    headers = {"Authorization": "Bearer sk_test_checkout_development"}
    session = (await shop.payment.http.get(f"/v1/checkout/sessions/{order['session_id']}", headers=headers)).json()
    query = {"payment_intent": session["payment_intent"], "limit": 100}
    return list((await shop.payment.http.get("/v1/refunds", params=query, headers=headers)).json()["data"])


async def test_concurrent_refunds_of_parts_never_add_up_to_more_than_was_paid(shop: Shop) -> None:
    bought = await shop.paid(quantity=3)
    keys = [shop.key() for _ in range(8)]
    answers = await asyncio.gather(
        *(shop.refund(bought["order_id"], key, amount=700) for key in keys for _ in range(2))
    )
    by_key = {key: {answer.status_code for answer in answers[2 * i : 2 * i + 2]} for i, key in enumerate(keys)}
    assert sorted(map(tuple, by_key.values())) == [(200,)] * 4 + [(409,)] * 4, "a repeat is answered as the first"
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"refund-exceeds-payment"}
    assert [refund["amount"] for refund in await at_the_provider(shop, bought)] == [700] * 4
    order = await settled(shop, bought["order_id"], refunded=2800, kept=200)
    assert order["status"] in ("fulfilled", "dispatched")


async def test_a_key_stands_for_one_refund_also_while_it_is_being_made(shop: Shop) -> None:
    bought = await shop.paid(quantity=3)
    key = shop.key()
    held = await shop.payment.fault("refund.after", "hold", times=1)
    first = asyncio.create_task(shop.refund(bought["order_id"], key, amount=500))

    async def is_held() -> bool:
        rules = (await shop.payment.http.get("/_faults")).json()["rules"]
        return any(rule["id"] == held and rule["holding"] for rule in rules)

    await eventually(is_held)
    other = asyncio.create_task(shop.refund(bought["order_id"], key, amount=900))
    same = asyncio.create_task(shop.refund(bought["order_id"], key, amount=500))
    await shop.payment.http.post("/_faults/release", json={})
    answers = await asyncio.gather(first, same, other)
    assert [answer.status_code for answer in answers] == [200, 200, 422]
    assert answers[2].json()["code"] == "idempotency-key-reused"
    assert answers[0].json()["refund"]["id"] == answers[1].json()["refund"]["id"]
    assert [refund["amount"] for refund in await at_the_provider(shop, bought)] == [500]


async def test_a_repeat_is_answered_as_the_first_also_beside_others_under_its_key(shop: Shop) -> None:
    bought = await shop.paid(quantity=3)
    key = shop.key()
    first = await shop.refund(bought["order_id"], key, amount=500)
    answers = await asyncio.gather(
        *(shop.refund(bought["order_id"], key, amount=amount) for _ in range(6) for amount in (900, 500))
    )
    assert [answer.status_code for answer in answers] == [422, 200] * 6
    assert {answer.json()["refund"]["id"] for answer in answers[1::2]} == {first.json()["refund"]["id"]}
    assert [refund["amount"] for refund in await at_the_provider(shop, bought)] == [500]


async def test_goods_come_back_to_stock_only_where_that_was_said(shop: Shop) -> None:
    lamps = await shop.available("desk-lamp")
    bought = await shop.paid(sku="desk-lamp", quantity=3)
    line = [{"sku": "desk-lamp", "quantity": 1}]
    for restock, back in ((False, 0), (True, 1)):
        answer = await shop.refund(bought["order_id"], shop.key(), lines=line, restock=restock)
        assert answer.json()["refund"]["lines"] == [{"sku": "desk-lamp", "quantity": 1, "restocked": restock}]
        assert await shop.available("desk-lamp") == lamps - 3 + back
    rest = await shop.refund(bought["order_id"], restock=False)
    assert (rest.json()["status"], rest.json()["payment"]["kept"]) == ("refunded", 0)
    assert await shop.available("desk-lamp") == lamps - 2


async def test_a_refund_that_succeeded_and_then_fails_is_given_back_by_another(shop: Shop) -> None:
    bought = await shop.paid()
    assert (await shop.refund(bought["order_id"])).json()["status"] == "refunded"
    [first] = await at_the_provider(shop, bought)
    await shop.payment.become(first["id"], "failed")

    async def is_tried_again() -> bool:
        return len(await at_the_provider(shop, bought)) == 2

    await eventually(is_tried_again, within=40)
    order = await settled(shop, bought["order_id"], refunded=1000, refund_pending=0, kept=0)
    assert [(refund["state"], refund["attempt"]) for refund in order["refunds"]] == [("failed", 1), ("succeeded", 2)]
    assert order["refunds"][0]["failure_reason"] == "expired_or_canceled_card"
    assert (order["status"], order["payment"]["status"]) == ("refunded", "refunded")


async def test_a_refund_that_takes_a_while_is_not_done_before_it_is(shop: Shop) -> None:
    bought = await shop.paid("pm_card_pendingRefund")
    answer = (await shop.refund(bought["order_id"])).json()
    assert (answer["refund"]["state"], answer["payment"]["refund_pending"]) == ("pending", 1000)
    assert answer["status"] != "refunded"
    assert (await shop.until(bought["order_id"], "refunded", within=40))["payment"]["refunded"] == 1000


async def test_a_refund_made_at_the_provider_is_taken_note_of_and_nothing_is_given_back_on_top(shop: Shop) -> None:
    bought = await shop.paid()
    await shop.payment.reverse("refund", bought["session_id"], amount=400)
    order = await settled(shop, bought["order_id"], refunded=400, kept=600)
    assert [refund["requested_by"] for refund in order["refunds"]] == ["provider"]
    assert (await shop.refund(bought["order_id"], shop.key(), amount=601)).status_code == 409
    assert (await shop.refund(bought["order_id"])).json()["status"] == "refunded"
    assert sorted(refund["amount"] for refund in await at_the_provider(shop, bought)) == [400, 600]


@pytest.mark.parametrize(("outcome", "kept"), [("won", 1000), ("lost", 0)])
async def test_a_dispute_is_followed_to_its_end_and_nothing_is_refunded_meanwhile(
    shop: Shop, outcome: str, kept: int
) -> None:
    bought = await shop.paid()
    dispute_id = await shop.payment.reverse("dispute", bought["session_id"])

    async def is_known() -> dict[str, Any] | None:
        order = await shop.seen_by_operator(bought["order_id"])
        return order if order["disputes"] else None

    order = await eventually(is_known)
    assert [(d["id"], d["amount"], d["is_open"]) for d in order["disputes"]] == [(dispute_id, 1000, True)]
    assert order["disputes"][0]["evidence_due_by"] is not None
    refused = await shop.refund(bought["order_id"])
    assert (refused.status_code, refused.json()["code"]) == (409, "not-refundable")
    await shop.payment.become(dispute_id, outcome)

    async def is_over() -> dict[str, Any] | None:
        order = await shop.seen_by_operator(bought["order_id"])
        return order if not order["disputes"][0]["is_open"] else None

    order = await eventually(is_over)
    assert (order["disputes"][0]["state"], order["payment"]["kept"]) == (outcome, kept)
    told = await shop.order(bought["order_id"])
    assert "evidence_due_by" not in told["disputes"][0], "that is none of the customer's business"
    assert await at_the_provider(shop, bought) == []


@pytest.mark.parametrize("how", [list(order) for order in permutations(["dispute", "refund", "win"])][::2])
async def test_what_happens_to_money_is_told_right_whichever_event_comes_first(shop: Shop, how: list[str]) -> None:
    """A bank's inquiry, a refund of a part and the end of the inquiry: their events held back, and let go in any order,
    each of them twice."""
    bought = await shop.paid()
    await shop.payment.fault("webhook", "lose", times=None, match={"session_id": bought["session_id"]})
    dispute_id = await shop.payment.reverse("dispute", bought["session_id"], status="warning_needs_response")
    refund_id = await shop.payment.reverse("refund", bought["session_id"], amount=300)
    await shop.payment.become(dispute_id, "warning_closed")
    await shop.payment.reset()
    headers = {"Authorization": "Bearer sk_test_checkout_development"}
    about = {"dispute": "charge.dispute.created", "refund": "refund.created", "win": "charge.dispute.closed"}
    for step in how:
        query = {"type": about[step], "limit": 100}
        found = (await shop.payment.http.get("/v1/events", params=query, headers=headers)).json()["data"]
        [event] = [each for each in found if each["data"]["object"]["id"] in (dispute_id, refund_id)]
        for _ in range(2):
            (await shop.payment.http.post(f"/_faults/webhooks/{event['id']}/resend")).raise_for_status()
    order = await settled(shop, bought["order_id"], refunded=300, lost=0, kept=700)
    assert [(each["state"], each["is_open"]) for each in order["disputes"]] == [("warning_closed", False)]
    assert len(order["refunds"]) == 1


async def test_a_debit_that_takes_days_holds_its_stock_cannot_be_cancelled_and_is_fulfilled_when_it_comes(
    shop: Shop,
) -> None:
    mugs = await shop.available("coffee-mug")
    bought = await shop.buy(sku="coffee-mug")
    await shop.payment.pay(bought["session_id"], "pm_usBankAccount_processing")
    order = await shop.until(bought["order_id"], "payment_processing")
    assert (order["payment"]["status"], order["payment"]["url"], order["payment"]["paid"]) == ("processing", None, 0)
    assert order["payment"]["processing_until"] is not None
    refused = await shop.http.post(f"/orders/{bought['order_id']}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "payment-under-way")
    assert (await shop.refund(bought["order_id"])).status_code == 409
    assert await shop.available("coffee-mug") == mugs - 1
    await shop.payment.become(bought["session_id"], "succeeded")
    order = await shop.until(bought["order_id"], "fulfilled", "dispatched")
    assert (order["payment"]["status"], order["payment"]["paid"]) == ("paid", order["amount_total"])
    again = await shop.post(bought["checkout_key"], sku="coffee-mug")
    assert again.json() == bought, "the answer of its key is the one first given"


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_debit_that_fails_gives_the_stock_back_and_says_so(shop: Shop, is_told: bool) -> None:
    mugs = await shop.available("coffee-mug")
    bought = await shop.buy(sku="coffee-mug")
    await shop.payment.pay(bought["session_id"], "pm_usBankAccount_processing")
    await shop.until(bought["order_id"], "payment_processing")
    if not is_told:
        await shop.payment.fault("webhook", "lose", times=None, match={"session_id": bought["session_id"]})
    await shop.payment.become(bought["session_id"], "failed")
    if not is_told:  # and the customer comes back, days later, to the address that says "paid"
        assert (await shop.order(bought["order_id"]))["status"] == "payment_processing"
        await shop.http.get(f"/checkout/success?session_id={bought['session_id']}")
    order = await shop.until(bought["order_id"], "cancelled")
    assert (order["reason"], order["payment"]["status"]) == ("payment_failed", "not_paid")
    assert await shop.available("coffee-mug") == mugs
