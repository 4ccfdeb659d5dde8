"""Faults of the control plane: each does what it says."""

import asyncio
import time
from typing import Any

import httpx
import pytest
import stripe

from tests.integration.payment_mock.conftest import Merchant
from tests.integration.payment_mock.serving import Receiver
from tests.support.eventually import eventually


async def sessions_of(merchant: Merchant, reference: str) -> list[Any]:
    return await merchant.rows("SELECT id FROM payments.sessions WHERE client_reference_id = :r", r=reference)


async def call(merchant: Merchant, operation: str, session: Any, **options: Any) -> httpx.Response:
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
            return await merchant.http.post(path, data=data, **options)
        case "retrieve":
            return await merchant.look(session.id)
        case "list":
            return await merchant.http.get(path)
        case "expire":
            return await merchant.http.post(f"{path}/{session.id}/expire")
        case "pay":
            return await merchant.http.post("/api/submit_payment", data={"session_id": session.id})
    return await merchant.http.post("/v1/refunds", data={"payment_intent": session.payment_intent})


@pytest.mark.parametrize("operation", ["create", "retrieve", "list", "expire", "refund", "pay"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_every_operation_can_fail_before_and_after_its_commit(
    merchant: Merchant, operation: str, when: str
) -> None:
    reference = f"fault-{operation}-{when}-{time.time()}"
    session = await (merchant.paid if operation == "refund" else merchant.create)(client_reference_id=reference)
    rule = await merchant.plant(f"{operation}.{when}", "error", status=503)
    failed = await call(merchant, operation, session)
    assert (failed.status_code, failed.json()["error"]["type"]) == (503, "api_error")
    committed = {
        "create": len(
            await merchant.rows("SELECT 1 FROM payments.sessions WHERE client_reference_id = :r", r=reference)
        )
        > 1,
        "expire": (await merchant.retrieve(session.id)).status == "expired",
        "pay": (await merchant.retrieve(session.id)).payment_status == "paid",
        "refund": ("refund", 2450) in await merchant.ledger(session.id),
    }.get(operation, when == "after")
    assert committed is (when == "after")
    assert (await merchant.rule(rule))["fired"] == 1
    assert (await call(merchant, operation, session)).status_code in (200, 204, 400)


@pytest.mark.parametrize(("status", "raised"), [(429, stripe.RateLimitError), (500, stripe.APIError)])
async def test_the_library_sees_the_error_classes_of_stripe(merchant: Merchant, status: int, raised: type) -> None:
    await merchant.plant("create.before", "error", status=status)
    with pytest.raises(raised) as error:
        await merchant.create()
    assert error.value.http_status == status


async def test_a_dropped_reply_leaves_the_effect_and_its_answer_under_the_key(merchant: Merchant) -> None:
    await merchant.plant("create.after", "drop")
    with pytest.raises(stripe.APIConnectionError):
        await merchant.create("dropped", client_reference_id="dropped", metadata={})
    again = await merchant.create("dropped", client_reference_id="dropped", metadata={})
    assert [row.id for row in await sessions_of(merchant, "dropped")] == [again.id]


async def test_a_sticky_error_can_hide_a_session_that_was_made(merchant: Merchant) -> None:
    await merchant.plant("create.after", "sticky_error")
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            await merchant.create("sticky", client_reference_id="sticky", metadata={})
    listed = await merchant.sessions.list_async({"limit": 5})
    assert [session.client_reference_id for session in listed.data].count("sticky") == 1


async def test_create_can_be_committed_long_after_its_client_gave_up(merchant: Merchant) -> None:
    early = await merchant.create(client_reference_id="late")
    rule = await merchant.plant("create.before", "hold", delay_seconds=20)
    with pytest.raises(httpx.ReadTimeout):
        await call(merchant, "create", early, timeout=3)
    await merchant.until_holding(rule)
    assert len(await sessions_of(merchant, "late")) == 1

    async def committed() -> bool:
        return len(await sessions_of(merchant, "late")) == 2

    await merchant.http.post("/_faults/release", json={})
    await eventually(committed)
    assert (await merchant.rule(rule))["fired"] == 1


async def test_replies_can_be_redirects_huge_or_broken(merchant: Merchant) -> None:
    session = await merchant.create()
    await merchant.plant("retrieve.after", "redirect")
    assert (await merchant.look(session.id)).status_code == 302
    await merchant.plant("retrieve.after", "broken_body")
    broken = await merchant.look(session.id)
    assert broken.headers["content-type"] == "application/json"
    with pytest.raises(ValueError):
        broken.json()
    await merchant.plant("retrieve.after", "huge_body")
    read = 0
    async with merchant.http.stream("GET", f"/v1/checkout/sessions/{session.id}") as answer:
        assert "content-length" not in answer.headers
        async for chunk in answer.aiter_raw():
            read += len(chunk)
            if read > 10_000_000:
                break
    assert read > 10_000_000


async def test_a_payment_can_be_declined(merchant: Merchant, receiver: Receiver) -> None:
    session = await merchant.create()
    await merchant.plant("pay.before", "decline")
    answer = await call(merchant, "pay", session)
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "card_declined")
    assert (await merchant.retrieve(session.id)).status == "open"
    assert await merchant.pay(session.id) == 204


async def test_a_session_can_be_complete_but_unpaid_and_be_paid_later(merchant: Merchant, receiver: Receiver) -> None:
    session = await merchant.create()
    await merchant.plant("pay.before", "complete_unpaid")
    assert await merchant.pay(session.id) == 204
    [posted] = await receiver.wait_for(session.id)
    about = posted.event["data"]["object"]
    assert (about["status"], about["payment_status"]) == ("complete", "unpaid")
    assert await merchant.ledger(session.id) == []
    await merchant.http.post("/_faults/pay", json={"session_id": session.id, "force": True})
    await receiver.wait_for(session.id, type_="checkout.session.async_payment_succeeded")
    assert await merchant.ledger(session.id) == [("charge", 2450)]


async def test_late_money_reaches_an_expired_session_only_when_forced(merchant: Merchant, receiver: Receiver) -> None:
    session = await merchant.create()
    await merchant.sessions.expire_async(session.id)
    refused = await merchant.http.post("/_faults/pay", json={"session_id": session.id})
    assert (refused.json()["paid"], refused.json()["status"]) == (False, "expired")
    forced = await merchant.http.post("/_faults/pay", json={"session_id": session.id, "force": True})
    assert forced.json()["paid"] is True
    await receiver.wait_for(session.id, type_="checkout.session.completed")
    assert (await merchant.retrieve(session.id)).payment_status == "paid"
    assert await merchant.ledger(session.id) == [("charge", 2450)]


async def test_a_payment_can_be_made_at_an_exact_moment(merchant: Merchant) -> None:
    session = await merchant.create()
    at = time.time() + 0.3
    answer = await merchant.http.post("/_faults/pay", json={"session_id": session.id, "at": at})
    assert answer.json()["paid"] is True
    assert 0 <= answer.json()["at"] - at < 5


async def test_a_payment_can_be_held_until_the_sessions_deadline(merchant: Merchant) -> None:
    pay_by = int(time.time()) + 2
    session = await merchant.create(metadata={"pay_by": str(pay_by)})
    await merchant.plant("pay.before", "until_deadline", delay_seconds=-0.2)
    assert await merchant.pay(session.id) == 204
    assert time.time() - pay_by > -0.25


async def test_payment_and_expiry_held_at_their_barriers_race_when_let_go(merchant: Merchant) -> None:
    session = await merchant.create()
    rules = [await merchant.plant(f"{operation}.before", "hold") for operation in ("pay", "expire")]
    racing = [asyncio.create_task(call(merchant, operation, session)) for operation in ("pay", "expire")]
    for rule in rules:
        await merchant.until_holding(rule)
    released = await merchant.http.post("/_faults/release", json={})
    assert released.json() == {"released": 2}
    paid, expired = [answer.status_code for answer in await asyncio.gather(*racing)]
    assert (paid, expired) in {(204, 400), (409, 200)}


async def test_a_session_can_be_reported_with_another_amount_currency_or_order(merchant: Merchant) -> None:
    session = await merchant.create()
    wrong = {"amount_total": 1, "currency": "eur", "metadata.order_id": "another"}
    await merchant.plant("report", "override", set=wrong, match={"session_id": session.id})
    reported = await merchant.retrieve(session.id)
    assert (reported.amount_total, reported.currency, reported.metadata["order_id"]) == (1, "eur", "another")
    assert (await merchant.retrieve(session.id)).amount_total == 2450


async def test_a_session_can_really_be_created_with_another_amount(merchant: Merchant) -> None:
    await merchant.plant("create.before", "alter", set={"amount_total": 1})
    session = await merchant.create()
    assert session.amount_total == 1
    await merchant.pay(session.id)
    assert await merchant.ledger(session.id) == [("charge", 1)]
