"""The control plane: each fault does what it says, as often as it says, and is counted."""

import asyncio
import time
from typing import Any

import httpx
import pytest
import stripe

from tests.integration.payment_mock.conftest import Shop
from tests.integration.payment_mock.serving import Receiver, eventually


async def get(shop: Shop, session_id: str) -> httpx.Response:
    return await shop.http.get(f"/v1/checkout/sessions/{session_id}")


async def sessions_of(shop: Shop, reference: str) -> list[Any]:
    return await shop.rows("SELECT id FROM payments.sessions WHERE client_reference_id = :r", r=reference)


async def call(shop: Shop, operation: str, session: Any, **options: Any) -> httpx.Response:
    """One raw request of an API operation about a (paid, for a refund) session."""
    path = "/v1/checkout/sessions"
    match operation:
        case "create":
            data = {
                "mode": "payment",
                "success_url": "http://localhost/s",
                "client_reference_id": session.client_reference_id,
                "line_items[0][price_data][currency]": "usd",
                "line_items[0][price_data][unit_amount]": "100",
                "line_items[0][price_data][product_data][name]": "Pen",
                "line_items[0][quantity]": "1",
            }
            return await shop.http.post(path, data=data, **options)
        case "retrieve":
            return await get(shop, session.id)
        case "list":
            return await shop.http.get(path)
        case "expire":
            return await shop.http.post(f"{path}/{session.id}/expire")
        case "pay":
            return await shop.http.post("/api/submit_payment", data={"session_id": session.id})
    return await shop.http.post("/v1/refunds", data={"payment_intent": session.payment_intent})


@pytest.mark.parametrize("operation", ["create", "retrieve", "list", "expire", "refund", "pay"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_every_operation_can_fail_before_and_after_its_commit(shop: Shop, operation: str, when: str) -> None:
    reference = f"fault-{operation}-{when}-{time.time()}"
    session = await (shop.paid if operation == "refund" else shop.create)(client_reference_id=reference)
    rule = await shop.plant(f"{operation}.{when}", "error", status=503)
    failed = await call(shop, operation, session)
    assert (failed.status_code, failed.json()["error"]["type"]) == (503, "api_error")
    committed = {
        "create": len(await shop.rows("SELECT 1 FROM payments.sessions WHERE client_reference_id = :r", r=reference))
        > 1,
        "expire": (await shop.retrieve(session.id)).status == "expired",
        "pay": (await shop.retrieve(session.id)).payment_status == "paid",
        "refund": ("refund", 2450) in await shop.ledger(session.id),
    }.get(operation, when == "after")
    assert committed is (when == "after")
    assert (await shop.rule(rule))["fired"] == 1
    assert (await call(shop, operation, session)).status_code in (200, 204, 400)


@pytest.mark.parametrize(("status", "raised"), [(429, stripe.RateLimitError), (500, stripe.APIError)])
async def test_the_library_sees_the_error_classes_of_stripe(shop: Shop, status: int, raised: type) -> None:
    await shop.plant("create.before", "error", status=status)
    with pytest.raises(raised) as error:
        await shop.create()
    assert error.value.http_status == status


async def test_a_dropped_reply_leaves_the_effect_and_its_answer_under_the_key(shop: Shop) -> None:
    await shop.plant("create.after", "drop")
    with pytest.raises(stripe.APIConnectionError):
        await shop.create("dropped", client_reference_id="dropped", metadata={})
    again = await shop.create("dropped", client_reference_id="dropped", metadata={})
    assert [row.id for row in await sessions_of(shop, "dropped")] == [again.id]


async def test_a_sticky_error_can_hide_a_session_that_was_made(shop: Shop) -> None:
    await shop.plant("create.after", "sticky_error")
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            await shop.create("sticky", client_reference_id="sticky", metadata={})
    listed = await shop.sessions.list_async({"limit": 5})
    assert [session.client_reference_id for session in listed.data].count("sticky") == 1


async def test_create_can_be_committed_long_after_its_client_gave_up(shop: Shop) -> None:
    early = await shop.create(client_reference_id="late")
    rule = await shop.plant("create.before", "hold", delay_seconds=20)
    with pytest.raises(httpx.ReadTimeout):
        await call(shop, "create", early, timeout=3)
    await shop.until_holding(rule)
    assert len(await sessions_of(shop, "late")) == 1

    async def committed() -> bool:
        return len(await sessions_of(shop, "late")) == 2

    await shop.http.post("/_faults/release", json={})
    await eventually(committed)
    assert (await shop.rule(rule))["fired"] == 1


async def test_replies_can_be_redirects_huge_or_broken(shop: Shop) -> None:
    session = await shop.create()
    await shop.plant("retrieve.after", "redirect")
    assert (await get(shop, session.id)).status_code == 302
    await shop.plant("retrieve.after", "broken_body")
    broken = await get(shop, session.id)
    assert broken.headers["content-type"] == "application/json"
    with pytest.raises(ValueError):
        broken.json()
    await shop.plant("retrieve.after", "huge_body")
    read = 0
    async with shop.http.stream("GET", f"/v1/checkout/sessions/{session.id}") as answer:
        assert "content-length" not in answer.headers
        async for chunk in answer.aiter_raw():
            read += len(chunk)
            if read > 10_000_000:
                break
    assert read > 10_000_000


async def test_a_rule_fires_as_often_as_it_says_even_under_a_hundred_requests(shop: Shop) -> None:
    session = await shop.create()
    rule = await shop.plant("retrieve.before", "error", status=500, times=7)
    answers = await asyncio.gather(*(get(shop, session.id) for _ in range(100)))
    assert [answer.status_code for answer in answers].count(500) == 7
    assert (await shop.rule(rule))["fired"] == 7


async def test_a_rule_fires_only_where_it_matches(shop: Shop) -> None:
    target = await shop.create(metadata={"order_id": "the-one"})
    other = await shop.create(metadata={"order_id": "another"})
    await shop.plant("retrieve.before", "error", times=None, match={"order_id": "the-one"})
    assert (await get(shop, other.id)).status_code == 200
    assert (await get(shop, target.id)).status_code == 500
    await shop.http.delete("/_faults")
    assert (await get(shop, target.id)).status_code == 200


async def test_a_payment_can_be_declined(shop: Shop, receiver: Receiver) -> None:
    session = await shop.create()
    await shop.plant("pay.before", "decline")
    answer = await call(shop, "pay", session)
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "card_declined")
    assert (await shop.retrieve(session.id)).status == "open"
    assert await shop.pay(session.id) == 204


async def test_a_session_can_be_complete_but_unpaid_and_be_paid_later(shop: Shop, receiver: Receiver) -> None:
    session = await shop.create()
    await shop.plant("pay.before", "complete_unpaid")
    assert await shop.pay(session.id) == 204
    [posted] = await receiver.wait_for(session.id)
    about = posted.event["data"]["object"]
    assert (about["status"], about["payment_status"]) == ("complete", "unpaid")
    assert await shop.ledger(session.id) == []
    await shop.http.post("/_faults/pay", json={"session_id": session.id, "force": True})
    await receiver.wait_for(session.id, type_="checkout.session.async_payment_succeeded")
    assert await shop.ledger(session.id) == [("charge", 2450)]


async def test_late_money_reaches_an_expired_session_only_when_forced(shop: Shop, receiver: Receiver) -> None:
    session = await shop.create()
    await shop.sessions.expire_async(session.id)
    refused = await shop.http.post("/_faults/pay", json={"session_id": session.id})
    assert (refused.json()["paid"], refused.json()["status"]) == (False, "expired")
    forced = await shop.http.post("/_faults/pay", json={"session_id": session.id, "force": True})
    assert forced.json()["paid"] is True
    await receiver.wait_for(session.id, type_="checkout.session.completed")
    assert (await shop.retrieve(session.id)).payment_status == "paid"
    assert await shop.ledger(session.id) == [("charge", 2450)]


async def test_a_payment_can_be_made_at_an_exact_moment(shop: Shop) -> None:
    session = await shop.create()
    at = time.time() + 0.3
    answer = await shop.http.post("/_faults/pay", json={"session_id": session.id, "at": at})
    assert answer.json()["paid"] is True
    assert 0 <= answer.json()["at"] - at < 5


async def test_a_payment_can_be_held_until_the_sessions_deadline(shop: Shop) -> None:
    pay_by = int(time.time()) + 2
    session = await shop.create(metadata={"pay_by": str(pay_by)})
    await shop.plant("pay.before", "until_deadline", delay_seconds=-0.2)
    assert await shop.pay(session.id) == 204
    assert time.time() - pay_by > -0.25


async def test_payment_and_expiry_held_at_their_barriers_race_when_let_go(shop: Shop) -> None:
    session = await shop.create()
    rules = [await shop.plant(f"{operation}.before", "hold") for operation in ("pay", "expire")]
    racing = [asyncio.create_task(call(shop, operation, session)) for operation in ("pay", "expire")]
    for rule in rules:
        await shop.until_holding(rule)
    released = await shop.http.post("/_faults/release", json={})
    assert released.json() == {"released": 2}
    paid, expired = [answer.status_code for answer in await asyncio.gather(*racing)]
    assert (paid, expired) in {(204, 400), (409, 200)}


async def test_a_session_can_be_reported_with_another_amount_currency_or_order(shop: Shop) -> None:
    session = await shop.create()
    wrong = {"amount_total": 1, "currency": "eur", "metadata.order_id": "another"}
    await shop.plant("report", "override", set=wrong, match={"session_id": session.id})
    reported = await shop.retrieve(session.id)
    assert (reported.amount_total, reported.currency, reported.metadata["order_id"]) == (1, "eur", "another")
    assert (await shop.retrieve(session.id)).amount_total == 2450


async def test_a_session_can_really_be_created_with_another_amount(shop: Shop) -> None:
    await shop.plant("create.before", "alter", set={"amount_total": 1})
    session = await shop.create()
    assert session.amount_total == 1
    await shop.pay(session.id)
    assert await shop.ledger(session.id) == [("charge", 1)]


@pytest.mark.parametrize(
    "rule",
    [
        {"point": "create.later", "action": "error"},
        {"point": "retrieve.before", "action": "decline"},
        {"point": "webhook", "action": "lose", "times": 0},
        {"point": "report", "action": "override", "set": {"id": "x"}},
        {"point": "report", "action": "override", "set": {"amount_total": "1"}},
        {"point": "create.before", "action": "delay", "delay_seconds": -1},
        {"point": "create.before", "action": "error", "match": {"colour": "red"}},
    ],
)
async def test_a_rule_that_could_never_work_is_refused(shop: Shop, rule: dict[str, Any]) -> None:
    assert (await shop.http.put("/_faults", json=rule)).status_code == 422
