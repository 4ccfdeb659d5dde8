"""Idempotency keys, as Stripe documents them (docs.stripe.com/api/idempotent_requests)."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest
import stripe
from sqlalchemy import text

from payment_mock.database import SQL
from tests.integration.payment_mock.conftest import Merchant, in_seconds, merchant_at, order
from tests.integration.payment_mock.serving import in_process


def form(**changes: Any) -> dict[str, str]:
    return {
        "mode": "payment",
        "success_url": "http://localhost:8082/s",
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": "1000",
        "line_items[0][price_data][product_data][name]": "Pen",
        "line_items[0][quantity]": "1",
        **changes,
    }


async def post(merchant: Merchant, key: str, path: str = "/v1/checkout/sessions", **changes: Any) -> httpx.Response:
    return await merchant.http.post(path, data=form(**changes), headers={"idempotency-key": key})


def new_key() -> str:
    return str(uuid.uuid4())


async def test_a_repeat_gets_the_same_bytes_and_says_so(merchant: Merchant) -> None:
    key = new_key()
    first = await post(merchant, key)
    again = await post(merchant, key)
    assert (again.status_code, again.content) == (200, first.content)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request"] == first.headers["request-id"]
    assert again.headers["request-id"] != first.headers["request-id"]


async def test_a_repeat_gets_the_first_answer_even_after_the_session_changed(merchant: Merchant) -> None:
    key = new_key()
    created = await merchant.create(key, metadata={"order_id": "same"})
    await merchant.pay(created.id)
    again = await merchant.create(key, metadata={"order_id": "same"})
    assert (again.id, again.status) == (created.id, "open")


async def test_the_order_of_parameters_does_not_matter(merchant: Merchant) -> None:
    key = new_key()
    first = await post(merchant, key)
    turned = await merchant.http.post(
        "/v1/checkout/sessions", data=dict(reversed(form().items())), headers={"idempotency-key": key}
    )
    assert turned.json() == first.json()


async def test_other_parameters_under_the_same_key_are_an_idempotency_error(merchant: Merchant) -> None:
    key = new_key()
    await merchant.create(key, client_reference_id="a")
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        await merchant.create(key, client_reference_id="b")


async def test_the_same_key_at_another_endpoint_is_an_idempotency_error(merchant: Merchant) -> None:
    key = new_key()
    session = await merchant.create(key)
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        await merchant.sessions.expire_async(session.id, options={"idempotency_key": key})


async def test_parameters_that_fail_validation_are_not_remembered(merchant: Merchant) -> None:
    key = new_key()
    with pytest.raises(stripe.InvalidRequestError):
        await merchant.create(key, mode="subscription")
    assert (await merchant.create(key)).status == "open"


async def test_an_error_of_the_execution_is_remembered(merchant: Merchant) -> None:
    key = new_key()
    session = await merchant.create()
    await merchant.sessions.expire_async(session.id)
    path = f"/v1/checkout/sessions/{session.id}/expire"
    first = await merchant.http.post(path, headers={"idempotency-key": key})
    again = await merchant.http.post(path, headers={"idempotency-key": key})
    assert (first.status_code, again.status_code, again.content) == (400, 400, first.content)
    assert again.headers["idempotent-replayed"] == "true"


async def test_expiring_with_a_key_is_answered_alike_however_often(merchant: Merchant) -> None:
    key = new_key()
    session = await merchant.create()
    answers = [await merchant.sessions.expire_async(session.id, options={"idempotency_key": key}) for _ in range(3)]
    assert {answer.status for answer in answers} == {"expired"}
    events = await merchant.rows("SELECT 1 FROM payments.events WHERE session_id = :id", id=session.id)
    assert len(events) == 1


async def test_a_key_in_flight_is_409_until_its_request_is_through(merchant: Merchant) -> None:
    key = new_key()
    rule = await merchant.plant("create.before", "hold", match={"client_reference_id": key})
    first = asyncio.create_task(post(merchant, key, client_reference_id=key))
    await merchant.until_holding(rule)
    async with asyncio.timeout(10):  # a conflict is told at once, not waited out
        conflict = await post(merchant, key, client_reference_id=key)
    assert conflict.status_code == 409
    assert conflict.json()["error"]["type"] == "idempotency_error"
    assert conflict.json()["error"]["code"] == "idempotency_key_in_use"
    assert conflict.headers["stripe-should-retry"] == "true"
    await merchant.http.post("/_faults/release", json={"id": rule})
    answered = await first
    assert (await post(merchant, key, client_reference_id=key)).content == answered.content


async def test_repeats_at_once_get_the_stored_answer_and_are_no_conflict(merchant: Merchant) -> None:
    key = new_key()
    first = await post(merchant, key)
    repeats = await asyncio.gather(*(post(merchant, key) for _ in range(20)))
    assert {(answer.status_code, answer.content) for answer in repeats} == {(200, first.content)}
    others = await asyncio.gather(*(post(merchant, key, client_reference_id="other") for _ in range(20)))
    assert {answer.status_code for answer in others} == {400}


@pytest.mark.parametrize(("reference", "status"), [("same", 200), ("other", 400)])
async def test_what_another_process_did_under_a_key_is_not_done_again(
    merchant: Merchant, payments_database_url: str, reference: str, status: int
) -> None:
    """Of what is in flight there, this one knows nothing: the key's row decides."""
    key = new_key()
    async with (
        in_process(payments_database_url, "http://127.0.0.1:9/", PAYMENT_POLL_INTERVAL=3600) as url,
        merchant_at(url, merchant.engine) as elsewhere,
    ):
        rule = await merchant.plant("create.before", "hold", match={"client_reference_id": "same"})
        late = asyncio.create_task(post(merchant, key, client_reference_id="same", customer_email=f"{key}@x.org"))
        await merchant.until_holding(rule)
        first = await post(elsewhere, key, client_reference_id=reference, customer_email=f"{key}@x.org")
        await merchant.http.post("/_faults/release", json={"id": rule})
        answer = await late
    assert (first.status_code, answer.status_code) == (200, status)
    assert (answer.content == first.content) == (status == 200)
    made = await merchant.rows("SELECT 1 FROM payments.sessions WHERE customer_email = :email", email=f"{key}@x.org")
    assert len(made) == 1


async def test_fifty_requests_at_once_under_one_key_make_one_session(merchant: Merchant) -> None:
    key = new_key()
    reference = f"burst-{key}"
    answers = await asyncio.gather(*(post(merchant, key, client_reference_id=reference) for _ in range(50)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    made = await merchant.rows("SELECT id FROM payments.sessions WHERE client_reference_id = :r", r=reference)
    assert len(made) == 1


async def test_a_stored_500_is_repeated_and_says_not_to_retry(merchant: Merchant) -> None:
    key = new_key()
    await merchant.plant("create.before", "sticky_error", status=500)
    for attempt in range(3):
        answer = await post(merchant, key)
        assert (attempt, answer.status_code, answer.json()["error"]["type"]) == (attempt, 500, "api_error")
        assert answer.headers["stripe-should-retry"] == "false"
    assert (await post(merchant, new_key())).status_code == 200


async def test_a_500_that_was_not_stored_can_be_retried(merchant: Merchant) -> None:
    key = new_key()
    await merchant.plant("create.before", "error", status=500)
    assert (await post(merchant, key)).status_code == 500
    assert (await post(merchant, key)).status_code == 200


async def test_a_key_longer_than_255_characters_is_refused(merchant: Merchant) -> None:
    assert (await post(merchant, "k" * 256)).status_code == 400
    assert (await post(merchant, "k" * 255)).status_code == 200


async def test_no_key_is_ever_committed_without_its_answer(merchant: Merchant) -> None:
    key = new_key()
    rule = await merchant.plant("create.before", "hold", match={"client_reference_id": key})
    request = asyncio.create_task(post(merchant, key, client_reference_id=key))
    await merchant.until_holding(rule)
    assert await merchant.rows("SELECT 1 FROM payments.idempotency_keys WHERE key = :key", key=key) == []
    await merchant.http.post("/_faults/release", json={})
    await request
    assert len(await merchant.rows("SELECT 1 FROM payments.idempotency_keys WHERE key = :key", key=key)) == 1


async def test_the_library_itself_retries_past_a_conflict(merchant: Merchant) -> None:
    await merchant.plant("create.before", "error", status=409)
    patient = stripe.StripeClient(
        "sk_test_checkout_development",
        base_addresses={"api": merchant.url},
        http_client=stripe.HTTPXClient(),
        max_network_retries=2,
    )
    params = order(expires_at=in_seconds(1900))
    assert (await patient.v1.checkout.sessions.create_async(params)).status == "open"


async def test_a_repeat_gets_its_answer_though_the_time_it_asked_for_has_come_near(merchant: Merchant) -> None:
    """Half an hour is the least that may be asked for. The first request asked for it; the repeat is the same one."""
    key, expires_at = new_key(), in_seconds(1801)
    first = await merchant.create(key, expires_at=expires_at, metadata={})
    await asyncio.sleep(2.2)
    with pytest.raises(stripe.InvalidRequestError):
        await merchant.create(expires_at=expires_at, metadata={})
    assert (await merchant.create(key, expires_at=expires_at, metadata={})).id == first.id
    with pytest.raises(stripe.IdempotencyError):
        await merchant.create(key, expires_at=expires_at - 1, metadata={})


async def test_a_key_is_forgotten_after_24_hours_and_not_before(merchant: Merchant) -> None:
    old, young = new_key(), new_key()
    first = {key: (await merchant.create(key, metadata={})).id for key in (old, young)}
    async with merchant.engine.begin() as connection:
        age = "UPDATE payments.idempotency_keys SET created_at = now() - CAST(:age AS interval) WHERE key = :key"
        await connection.execute(text(age), {"key": old, "age": timedelta(hours=24, seconds=1)})
        await connection.execute(text(age), {"key": young, "age": timedelta(hours=23, minutes=59)})
        await connection.execute(text(SQL["forget"]))
    assert (await merchant.create(young, metadata={})).id == first[young]
    assert (await merchant.create(old, metadata={})).id != first[old]
