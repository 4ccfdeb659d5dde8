"""The endpoints of the guide."""

from typing import Any

import pytest

from tests.integration.payment_mock.conftest import Merchant

ITEMS = [{"description": "Pen", "quantity": 2, "price": 1000}, {"description": "Ink", "quantity": 1, "price": 450}]
SHOP = "http://localhost:8082"


def new(**changes: Any) -> dict[str, Any]:
    return {
        "success_url": f"{SHOP}/ok?s={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{SHOP}/no",
        "items": ITEMS,
        **changes,
    }


async def create(merchant: Merchant, **changes: Any) -> str:
    answer = await merchant.http.post("/api/create_payment_session", json=new(**changes))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["session_id"])


async def test_a_session_is_created_and_is_pending(merchant: Merchant) -> None:
    answer = await merchant.http.post("/api/create_payment_session", json=new(webhook="http://localhost:9/hook"))
    made = answer.json()
    assert set(made) == {"session_id", "url", "payment_status"}
    assert made["payment_status"] == "pending"
    assert made["url"] == f"{merchant.url}/payment/{made['session_id']}"
    assert (await merchant.http.get(f"/api/session/{made['session_id']}")).json() == made


async def test_session_info_adds_the_items_in_minor_units(merchant: Merchant) -> None:
    session_id = await create(merchant, client_reference_id="k-1")
    info = (await merchant.http.get(f"/api/session_info/{session_id}")).json()
    assert (info["amount_total"], info["currency"], info["client_reference_id"]) == (2450, "usd", "k-1")
    assert info["items"] == ITEMS
    assert info["success_url"].endswith("{CHECKOUT_SESSION_ID}")


@pytest.mark.parametrize("as_json", [True, False])
async def test_paying_takes_a_form_or_json_and_is_idempotent(merchant: Merchant, as_json: bool) -> None:
    session_id = await create(merchant)
    for _ in range(2):
        body: Any = {"json": {"session_id": session_id}} if as_json else {"data": {"session_id": session_id}}
        answer = await merchant.http.post("/api/submit_payment", **body)
        assert (answer.status_code, answer.content) == (204, b"")
    assert (await merchant.http.get(f"/api/session/{session_id}")).json()["payment_status"] == "paid"
    assert await merchant.ledger(session_id) == [("charge", 2450)]


async def test_the_guides_curl_line_posts_json_that_is_called_a_form(merchant: Merchant) -> None:
    session_id = await create(merchant)
    answer = await merchant.http.post(
        "/api/submit_payment",
        content=f'{{"session_id":"{session_id}"}}',
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 204


async def test_cancelling_closes_the_session_for_good(merchant: Merchant) -> None:
    session_id = await create(merchant)
    for _ in range(2):
        answer = await merchant.http.post("/api/cancel_payment", json={"session_id": session_id})
        assert answer.status_code == 204
    assert (await merchant.http.get(f"/api/session/{session_id}")).json()["payment_status"] == "cancelled"
    refused = await merchant.http.post("/api/submit_payment", json={"session_id": session_id})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "session_not_payable")
    assert await merchant.ledger(session_id) == []


async def test_a_paid_session_cannot_be_cancelled(merchant: Merchant) -> None:
    session_id = await create(merchant)
    await merchant.pay(session_id)
    answer = await merchant.http.post("/api/cancel_payment", data={"session_id": session_id})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "session_already_complete")


async def test_unknown_sessions_are_404_and_missing_ids_400(merchant: Merchant) -> None:
    for path in ("submit_payment", "cancel_payment"):
        assert (await merchant.http.post(f"/api/{path}", data={"session_id": "cs_test_x"})).status_code == 404
        assert (await merchant.http.post(f"/api/{path}")).status_code == 400
        assert (await merchant.http.post(f"/api/{path}", content="{broken")).status_code == 400
        assert (await merchant.http.post(f"/api/{path}", json={"session_id": ["a"]})).status_code == 400
    assert (await merchant.http.get("/api/session/cs_test_x")).status_code == 404
    assert (await merchant.http.get("/api/session_info/cs_test_x")).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook": "http://10.0.0.1/hook"},
        {"webhook": "http://127.0.0.1.evil.example/hook"},
        {"webhook": "http://localhost@evil.example/hook"},
        {"webhook": "file:///etc/passwd"},
        {"success_url": "javascript:alert(1)"},
        {"items": []},
        {"items": [{"description": "Pen", "quantity": 0, "price": 1000}]},
        {"items": [{"description": "Pen", "quantity": 1.5, "price": 1000}]},
        {"items": [{"description": "Pen", "quantity": 1, "price": -1}]},
        {"total": 1},
    ],
)
async def test_wrong_sessions_and_foreign_webhooks_are_refused(merchant: Merchant, changes: dict[str, Any]) -> None:
    answer = await merchant.http.post("/api/create_payment_session", json=new(**changes))
    assert answer.status_code in (400, 422)
