"""Sessions through the official library: create, retrieve, list, expire, and Stripe's refusals."""

import base64

import httpx
import pytest
import stripe

from tests.integration.payment_mock.conftest import Merchant, in_seconds, line, order


async def test_a_created_session_has_stripes_shape_and_the_sum_of_its_lines(merchant: Merchant) -> None:
    session = await merchant.create(expires_at=in_seconds(1900), metadata={"order_id": "o-1", "pay_by": "1"})
    assert session.id.startswith("cs_test_")
    assert (session.object, session.status, session.payment_status) == ("checkout.session", "open", "unpaid")
    assert (session.amount_total, session.currency, session.mode) == (2450, "usd", "payment")
    assert session.client_reference_id == "abcde-12345"
    assert session.metadata.to_dict() == {"order_id": "o-1", "pay_by": "1"}
    assert session.url == f"{merchant.url}/payment/{session.id}"
    assert session.payment_intent is None
    assert session.livemode is False


async def test_a_session_lives_24_hours_when_not_told_otherwise(merchant: Merchant) -> None:
    session = await merchant.create()
    assert session.expires_at - session.created == 86_400


async def test_retrieving_gives_the_same_session_and_expands_what_is_asked(merchant: Merchant) -> None:
    created = await merchant.create()
    assert (await merchant.retrieve(created.id)).to_dict() == created.to_dict()
    expanded = await merchant.sessions.retrieve_async(created.id, {"expand": ["line_items"]})
    assert [(item.description, item.quantity, item.amount_total) for item in expanded.line_items.data] == [
        ("Pen", 2, 2000),
        ("Notebook", 1, 450),
    ]


async def test_a_paid_session_is_complete_and_its_payment_intent_expands_to_the_charge(merchant: Merchant) -> None:
    paid = await merchant.paid(payment_intent_data={"metadata": {"order_id": "o-2"}})
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert paid.payment_intent.startswith("pi_")
    expanded = await merchant.sessions.retrieve_async(paid.id, {"expand": ["payment_intent.latest_charge"]})
    intent = expanded.payment_intent
    assert (intent.id, intent.status, intent.amount_received) == (paid.payment_intent, "succeeded", 2450)
    assert intent.metadata["order_id"] == "o-2"
    assert (intent.latest_charge.paid, intent.latest_charge.amount) == (True, 2450)
    alone = await merchant.stripe.v1.payment_intents.retrieve_async(paid.payment_intent)
    assert alone.latest_charge == intent.latest_charge.id
    charge = await merchant.stripe.v1.charges.retrieve_async(alone.latest_charge)
    assert charge.payment_intent == paid.payment_intent


async def test_an_open_session_expires_once_and_a_closed_one_is_refused_in_stripes_words(merchant: Merchant) -> None:
    session = await merchant.create()
    expired = await merchant.sessions.expire_async(session.id)
    assert (expired.status, expired.payment_status, expired.url) == ("expired", "unpaid", None)
    with pytest.raises(stripe.InvalidRequestError, match="status of `expired`") as refusal:
        await merchant.sessions.expire_async(session.id)
    assert refusal.value.http_status == 400


async def test_a_complete_session_cannot_be_expired(merchant: Merchant) -> None:
    paid = await merchant.paid()
    with pytest.raises(stripe.InvalidRequestError, match="status of `complete`"):
        await merchant.sessions.expire_async(paid.id)
    assert (await merchant.retrieve(paid.id)).payment_status == "paid"


async def test_a_list_is_newest_first_and_pages_to_its_end(merchant: Merchant) -> None:
    made = [(await merchant.create()).id for _ in range(5)]
    first = await merchant.sessions.list_async({"limit": 2})
    assert [session.id for session in first.data] == made[:-3:-1]
    assert first.has_more is True
    listed = []
    async for session in (await merchant.sessions.list_async({"limit": 2})).auto_paging_iter():
        listed.append(session.id)
        if len(listed) == 5:
            break
    assert listed == made[::-1]


async def test_a_list_is_filtered_by_status_intent_and_time(merchant: Merchant) -> None:
    paid = await merchant.paid()
    await merchant.create()
    by_intent = await merchant.sessions.list_async({"payment_intent": paid.payment_intent})
    assert [session.id for session in by_intent.data] == [paid.id]
    assert by_intent.has_more is False
    complete = await merchant.sessions.list_async({"status": "complete", "limit": 100})
    assert {session.status for session in complete.data} == {"complete"}
    assert (await merchant.sessions.list_async({"created": {"gt": in_seconds(60)}})).data == []
    recent = await merchant.sessions.list_async({"created": {"gte": paid.created}, "limit": 100})
    assert paid.id in {session.id for session in recent.data}


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"mode": "subscription"}, "mode", None),
        ({"success_url": "javascript:alert(1)"}, "success_url", "url_invalid"),
        ({"cancel_url": "ftp://example.com"}, "cancel_url", "url_invalid"),
        ({"client_reference_id": "x" * 201}, "client_reference_id", None),
        ({"expires_at": in_seconds(1700)}, "expires_at", None),
        ({"expires_at": in_seconds(200_000)}, "expires_at", None),
        ({"colour": "red"}, "colour", "parameter_unknown"),
        ({"line_items": [line("Pen", -1, 1)]}, "line_items[0][price_data][unit_amount]", None),
        ({"line_items": [line("Pen", 1000, 0)]}, "line_items[0][quantity]", None),
        ({"line_items": [line("A", 100, 1), line("B", 100, 1, "eur")]}, "line_items", None),
        ({"line_items": [line("Pen", 10, 1)]}, None, "amount_too_small"),
        ({"payment_method_types": ["cash"]}, "payment_method_types[0]", None),
        ({"customer_email": "nobody"}, "customer_email", "email_invalid"),
        ({"metadata": {"note": "x" * 501}}, "metadata[note]", None),
    ],
)
async def test_wrong_parameters_are_refused_by_name(merchant: Merchant, changes: dict, param: str, code: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        await merchant.create(**changes)
    assert (refusal.value.http_status, refusal.value.param, refusal.value.code) == (400, param, code)
    assert refusal.value.request_id.startswith("req_")


@pytest.mark.parametrize("missing", ["mode", "line_items", "success_url"])
async def test_missing_parameters_are_refused_by_name(merchant: Merchant, missing: str) -> None:
    params = order()
    del params[missing]
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        await merchant.sessions.create_async(params)
    assert (refusal.value.param, refusal.value.code) == (missing, "parameter_missing")


async def test_unknown_ids_are_resource_missing_with_404(merchant: Merchant) -> None:
    v1 = merchant.stripe.v1
    for call in (
        merchant.sessions.retrieve_async("cs_test_nothing"),
        merchant.sessions.expire_async("cs_test_nothing"),
        v1.payment_intents.retrieve_async("pi_nothing"),
        v1.charges.retrieve_async("ch_nothing"),
        v1.refunds.retrieve_async("re_nothing"),
        v1.events.retrieve_async("evt_nothing"),
        v1.refunds.create_async({"payment_intent": "pi_nothing"}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            await call
        assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")


async def test_a_wrong_or_missing_key_is_401_and_the_key_is_not_repeated(merchant: Merchant) -> None:
    wrong = stripe.StripeClient(
        "sk_test_somebody_elses_key", base_addresses={"api": merchant.url}, http_client=stripe.HTTPXClient()
    )
    with pytest.raises(stripe.AuthenticationError) as refusal:
        await wrong.v1.checkout.sessions.retrieve_async("cs_test_nothing")
    assert "somebody" not in str(refusal.value)
    async with httpx.AsyncClient(base_url=merchant.url) as anonymous:
        answer = await anonymous.get("/v1/checkout/sessions")
        assert answer.status_code == 401
        assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_the_key_is_also_taken_as_the_user_of_basic_auth(merchant: Merchant) -> None:
    session = await merchant.create()
    credentials = base64.b64encode(b"sk_test_checkout_development:").decode()
    answer = await merchant.http.get(
        f"/v1/checkout/sessions/{session.id}", headers={"authorization": f"Basic {credentials}"}
    )
    assert answer.status_code == 200


async def test_bodies_that_are_no_form_or_too_large_are_refused(merchant: Merchant) -> None:
    json_body = await merchant.http.post("/v1/checkout/sessions", json=order())
    assert (json_body.status_code, json_body.json()["error"]["type"]) == (400, "invalid_request_error")
    huge = await merchant.http.post("/v1/checkout/sessions", data={"mode": "x" * 300_000})
    assert huge.status_code == 413
    null_byte = await merchant.http.post("/v1/checkout/sessions", data={"mode": "a\0b"})
    assert null_byte.status_code == 400


async def test_what_stripe_has_and_the_simulator_has_not_is_an_error_object(merchant: Merchant) -> None:
    answer = await merchant.http.get("/v1/customers")
    assert answer.status_code == 404
    assert "Unrecognized request URL" in answer.json()["error"]["message"]
