"""An operator's refunds over HTTP: what is refused before anything moves, and what the overview makes of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checkout.orders import OrderStatus
from db import insights
from tests.support.rig import TOKEN, Rig

OPERATOR = {"Authorization": f"Bearer {TOKEN}"}


async def kept(rig: Rig) -> str:
    key, order_id, session_id = await rig.bought()
    rig.provider.pay(session_id)
    await rig.tell(session_id, key)
    await rig.until(order_id, OrderStatus.FULFILLED, OrderStatus.DISPATCHED)
    return order_id


def headers(key: str) -> dict[str, str]:
    return OPERATOR | {"Idempotency-Key": key}


@pytest.mark.parametrize(
    ("body", "key", "status", "code"),
    [
        ({"amount": 100}, None, 400, "idempotency-key-missing"),
        ({"amount": 100}, "no key at all", 400, "invalid-key"),
        ({"amount": 100, "lines": [{"sku": "pen", "quantity": 1}]}, "k1", 422, "invalid-request"),
        ({"amount": "100"}, "k1", 422, "invalid-request"),
        ({"amount": 10**9}, "k1", 409, "refund-exceeds-payment"),
        ({"lines": [{"sku": "pen", "quantity": 99}]}, "k1", 409, "refund-lines-exceed-order"),
        ({"lines": [{"sku": "notebook", "quantity": 1}]}, "k1", 409, "refund-lines-exceed-order"),
    ],
)
async def test_what_is_refused_moves_no_money_and_says_why(
    rig: Rig, body: dict[str, Any], key: str | None, status: int, code: str
) -> None:
    order_id = await kept(rig)
    sent = headers(key) if key else OPERATOR
    answer = await rig.http.post(f"/admin/orders/{order_id}/refund", json=body, headers=sent)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert rig.provider.refunded == []


async def test_what_was_given_back_is_not_counted_as_taken(rig: Rig) -> None:
    order_id = await kept(rig)
    answer = await rig.http.post(f"/admin/orders/{order_id}/refund", json={"amount": 400}, headers=headers("k1"))
    assert (answer.status_code, answer.json()["refund"]["state"]) == (200, "succeeded"), answer.text
    async with rig.engine.connect() as connection:
        takings = await insights.takings(connection, datetime.now(UTC) - timedelta(hours=1))
    assert takings == {"usd": 600}


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "application/octet-stream", ""])
async def test_a_part_that_is_sent_as_something_else_than_json_is_never_taken_for_all(rig: Rig, kind: str) -> None:
    """`curl -d` calls JSON a form."""
    order_id = await kept(rig)
    sent = headers("k1") | ({"Content-Type": kind} if kind else {})
    answer = await rig.http.post(f"/admin/orders/{order_id}/refund", content=b'{"amount": 400}', headers=sent)
    assert answer.status_code in (200, 422), answer.text
    assert answer.status_code == 422 or answer.json()["refund"]["amount"] == 400
    assert len(rig.provider.refunded) == (answer.status_code == 200)
