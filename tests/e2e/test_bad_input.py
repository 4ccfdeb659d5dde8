"""Bad input over HTTP: the named answer, nothing reserved, nothing charged."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.support.shop import Shop

PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"items": [{"sku": "unicorn", "quantity": 1}]}, "items[0].sku"),
        ({"items": [{"sku": "pen", "quantity": 0}]}, "items[0].quantity"),
        ({"items": [{"sku": "pen", "quantity": 100}]}, "items[0].quantity"),
        ({"items": [{"sku": "pen", "quantity": 1.5}]}, "items[0].quantity"),
        ({"items": [{"sku": "pen", "quantity": "1"}]}, "items[0].quantity"),
        ({"items": [{"sku": "pen", "quantity": True}]}, "items[0].quantity"),
        ({"items": [{"sku": "pen", "quantity": 2**63}]}, "items[0].quantity"),
        ({"items": [{"sku": "pen"}]}, "items[0].quantity"),
        ({"items": []}, "items"),
        ({"items": [{"sku": "pen", "quantity": 1}] * 2}, "items"),
        ({"items": [{"sku": f"p{n}", "quantity": 1} for n in range(51)]}, "items"),
        ({"items": [{"sku": "pen", "quantity": 1, "price": 1}]}, "items[0].price"),
        ({"items": [{"sku": "pen", "quantity": 1}], "amount_total": 1}, "amount_total"),
        ({"email": "no address"}, "email"),
        ({"email": "ada@localhost"}, "email"),
        ([], "body"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_reserved(shop: Shop, body: object, field: str) -> None:
    pens = await shop.available("pen")
    answer = await shop.http.post("/checkout", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert await shop.available("pen") == pens


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"items": nan}', b"[" * 10_000])
async def test_broken_json_is_a_400(shop: Shop, body: bytes) -> None:
    answer = await shop.http.post("/checkout", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)


async def test_a_body_over_64_kib_is_a_413_whether_it_says_so_or_not(shop: Shop) -> None:
    large = json.dumps({"email": "a" * 65_536}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        yield large

    for content in (large, chunks()):
        answer = await shop.http.post("/checkout", content=content)
        assert (answer.status_code, answer.headers["content-type"]) == (413, PROBLEM)


@pytest.mark.parametrize("key", ["a%20b", "x" * 201, "a%2Fb", "%C3%A4", "settle:cs_1", ""])
async def test_a_bad_key_is_a_400(shop: Shop, key: str) -> None:
    answer = await shop.http.post(f"/checkout/{key}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)


async def test_the_longest_key_works(shop: Shop) -> None:
    key = (shop.key() + "x" * 200)[:200]
    assert (await shop.buy(key))["checkout_key"] == key


async def test_every_unknown_order_is_the_same_404(shop: Shop) -> None:
    unknown = ["ord_0", "ord_" + "0" * 32, "'; DROP TABLE shop.orders; --", "x" * 1000]
    answers = [await shop.http.get(f"/orders/{order_id}") for order_id in unknown]
    assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}
    assert answers[0].headers["content-type"] == PROBLEM
