"""`POST /checkout` under attack: absurd numbers, broken JSON, keys that are no keys. 4xx by name, never a 500."""

import json
import secrets
from typing import Any

import httpx
import pytest

from stack.stack import Stack
from tests.security.counting import counts

PROBLEM = "application/problem+json"


def refused(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    return body


@pytest.mark.parametrize(
    "quantity",
    ["-1", "0", "1.5", "1.0", "1e0", "true", '"1"', "null", "[1]", "100", str(2**31), str(2**63), "1e400", "-0"],
)
async def test_only_whole_numbers_from_1_to_99_are_a_quantity(client: httpx.AsyncClient, quantity: str) -> None:
    answer = await client.post("/checkout", content=f'{{"items": [{{"sku": "pen", "quantity": {quantity}}}]}}')
    problem = refused(answer, 422)
    assert problem["errors"][0]["field"] == "items[0].quantity"


@pytest.mark.parametrize("quantity", ["NaN", "Infinity", "1" * 5000, "0x10", "+1", "01", "1,"])
async def test_what_json_cannot_say_is_no_json(client: httpx.AsyncClient, quantity: str) -> None:
    answer = await client.post("/checkout", content=f'{{"items": [{{"sku": "pen", "quantity": {quantity}}}]}}')
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize("quantity", ["-1", "1.5", "1e1", "100", "9" * 5000, "٣", "1 ", "\0"])
async def test_a_forms_quantity_is_as_strict(client: httpx.AsyncClient, quantity: str) -> None:
    answer = await client.post("/checkout", data={"sku": "pen", "quantity": quantity})
    assert refused(answer, 422)["errors"][0]["field"] == "items[0].quantity"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000,
        b'{"items":' * 7_000,
        b'{"items": [' * 5_000,
        b"{",
        b"\xff\xfe{}",
        b'{"items": [{"sku": "pen\xff", "quantity": 1}]}',
        b"\x00",
        b"{}{}",
        b"{} junk",
        b'{"items": [], "items": [{"sku": "pen", "quantity": 1}]}',
        b'{"items": [{"sku": "pen", "quantity": 1, "quantity": 2}]}',
    ],
    ids=lambda body: repr(body)[:24],
)
async def test_broken_or_ambiguous_json_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    refused(await client.post("/checkout", content=body), 400)


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b"7",
        b'"pen"',
        b'{"items": {}}',
        b'{"items": []}',
        b'{"items": [{"sku": "pen"}]}',
        b'{"items": [{"sku": "\\u0000", "quantity": 1}]}',
        b'{"items": [{"sku": "\\ud800", "quantity": 1}]}',
        b'{"items": [{"sku": "pen\\n", "quantity": 1}]}',
        b'{"items": [{"sku": "PEN", "quantity": 1}]}',
        b'{"email": "a@b\\u0000c"}',
        b'{"email": "a@b\\r\\nBcc: c@d"}',
        b'{"email": 7}',
        b'{"email": "' + b"a" * 250 + b'@b.cd"}',
        b'{"price": 1}',
        b'{"items": [{"sku": "pen", "quantity": 1, "unit_amount": 1}]}',
        b'{"amount_total": 1, "currency": "usd", "status": "fulfilled"}',
        b'{"success_url": "https://evil.example", "webhook": "http://169.254.169.254/"}',
        b'{"__proto__": {}, "constructor": {}}',
    ],
    ids=lambda body: repr(body)[:40],
)
async def test_whatever_is_not_a_cart_is_refused_by_name(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/checkout", content=body)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == PROBLEM


async def test_prices_of_the_client_reach_nobody(client: httpx.AsyncClient, guarded: Stack) -> None:
    before = await counts(guarded)
    for name in ("price", "unit_amount", "amount", "currency", "discount"):
        body = {"items": [{"sku": "desk-lamp", "quantity": 1, name: 1}]}
        assert f"items[0].{name}" in refused(await client.post("/checkout", json=body), 422)["detail"]
    assert await counts(guarded) == before


@pytest.mark.parametrize(
    "path",
    [
        "settle:cs_test_1",
        "%2e%2e%2fadmin",
        "..%2f..%2fadmin",
        "a%2fb",
        "a/b",
        "%00",
        "a%00",
        "a%0a",
        "a%0d%0aSet-Cookie:x=1",
        "%D9%A3",
        "%ff",
        "a%20b",
        "%20",
        "a" * 201,
        "'%20OR%201=1--",
        "%3Cscript%3E",
        "{key}",
    ],
)
async def test_a_key_outside_the_alphabet_is_refused_and_not_repeated(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(f"/checkout/{path}")
    problem = refused(answer, 400)
    assert problem["code"] == "invalid-key"
    assert "idempotency-key" not in answer.headers
    assert "script" not in answer.text


@pytest.mark.parametrize("key", ["", "a b", "a,b", "ä", "settle:x", "dispatch/ord_1", '""', '"a', "a" * 201])
async def test_so_is_one_in_the_header(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.post("/checkout", headers={b"Idempotency-Key": key.encode("latin-1")})
    refused(answer, 400)


async def test_two_unequal_keys_are_refused_wherever_they_stand(client: httpx.AsyncClient) -> None:
    one, other = secrets.token_hex(8), secrets.token_hex(8)
    answers = [
        await client.post(f"/checkout/{one}", headers={"Idempotency-Key": other}),
        await client.post("/checkout", headers=[("Idempotency-Key", one), ("Idempotency-Key", other)]),
        await client.post("/checkout", data={"key": one}, headers={"Idempotency-Key": other}),
    ]
    for answer in answers:
        assert refused(answer, 400)["code"] == "contradictory-keys"


async def test_a_key_shows_nothing_of_its_checkout_to_another_cart(client: httpx.AsyncClient) -> None:
    key = secrets.token_hex(16)
    mine = await client.post(f"/checkout/{key}", json={"email": "ada@example.com"})
    assert mine.status_code == 200
    for cart in ({}, {"email": "eve@example.com"}, {"items": [{"sku": "pen", "quantity": 2}]}):
        answer = await client.post(f"/checkout/{key}", json=cart)
        assert refused(answer, 422)["code"] == "idempotency-key-reused"
        for secret in (mine.json()["order_id"], mine.json()["session_id"], "ada@example.com"):
            assert secret not in answer.text + str(answer.headers)


async def test_keys_and_order_ids_cannot_be_guessed(client: httpx.AsyncClient) -> None:
    answers = [(await client.post("/checkout")).json() for _ in range(5)]
    for name, bits in (("checkout_key", 128), ("order_id", 128), ("session_id", 128)):
        values = [answer[name].rpartition("_")[2] if name != "checkout_key" else answer[name] for answer in answers]
        assert len(set(values)) == 5
        assert all(len(value) * (4 if name == "order_id" else 5.9) >= bits for value in values), values


async def test_posts_from_other_sites_pages_are_refused(client: httpx.AsyncClient, guarded: Stack) -> None:
    before = await counts(guarded)
    for cross in ("https://evil.example", "null", "http://localhost:1", "file://", "http://["):
        for path in ("/checkout", f"/checkout/{secrets.token_hex(8)}", "/orders/ord_x/cancel", "/payment_webhook"):
            answer = await client.post(path, headers={"Origin": cross})
            assert refused(answer, 403)["code"] == "cross-site", (cross, path)
    assert await counts(guarded) == before


async def test_posts_from_our_own_pages_pass(client: httpx.AsyncClient, guarded: Stack) -> None:
    for ours in (guarded.urls["gateway"], str(client.base_url)):
        assert (await client.post("/checkout", headers={"Origin": ours.rstrip("/")})).status_code == 200


async def test_json_says_the_same_as_the_gateway_understood(client: httpx.AsyncClient) -> None:
    """No second meaning hides behind escapes: the cart that is stored is the cart that was sent."""
    body = '{"items": [{"sku": "p\\u0065n", "quantity": 2}]}'
    answer = (await client.post("/checkout", content=body)).json()
    order = (await client.get(f"/orders/{answer['order_id']}")).json()
    assert json.loads(body)["items"][0]["sku"] == order["lines"][0]["sku"] == "pen"
    assert order["lines"][0]["quantity"] == 2
