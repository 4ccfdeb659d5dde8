"""What an answer shows of us: headers that keep browsers strict, and errors that tell a stranger nothing."""

import logging
import re

import httpx
import pytest

from api.app import create_app
from checkout.errors import PayloadKeyMissing
from stack.stack import Stack
from tests.security.conftest import GatewayWith, settings_of

INTERNALS = re.compile(
    r"select |insert |sqlalchemy|asyncpg|postgres|127\.0\.0\.1|traceback|\.py|relation|permission|temporalio|grpc",
    re.IGNORECASE,
)


async def answers(client: httpx.AsyncClient, operator: dict[str, str]) -> dict[str, httpx.Response]:
    order = await client.post("/checkout")
    order_id = order.json()["order_id"]
    return {
        "checkout": order,
        "replay": await client.post(f"/checkout/{order.json()['checkout_key']}"),
        "plain text": await client.post("/checkout", headers={"Accept": "text/plain"}),
        "form": await client.post("/checkout", data={"sku": "pen", "quantity": "1"}),
        "order": await client.get(f"/orders/{order_id}"),
        "cancelled": await client.post(f"/orders/{order_id}/cancel"),
        "unknown order": await client.get("/orders/ord_x"),
        "odd path": await client.get("/orders/%00"),
        "unknown route": await client.get("/no-such-route"),
        "wrong method": await client.delete("/checkout"),
        "bad key": await client.post("/checkout/settle:x"),
        "bad json": await client.post("/checkout", content=b"{"),
        "too long": await client.post("/checkout", content=b" " * 70_000),
        "cross-site": await client.post("/checkout", headers={"Origin": "https://evil.example"}),
        "products": await client.get("/products"),
        "orders": await client.get("/admin/orders", headers=operator),
        "not an operator": await client.get("/admin/orders"),
        "webhook": await client.post("/payment_webhook", content=b"{}"),
        "ready": await client.get("/readyz"),
        "metrics": await client.get("/metrics"),
        "decode": await client.post("/codec/decode", content=b"{}", headers=operator),
    }


async def test_every_answer_keeps_browsers_strict_and_names_no_software(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    for name, answer in (await answers(client, operator)).items():
        headers = answer.headers
        assert headers.get_list("x-content-type-options") == ["nosniff"], name
        assert headers["referrer-policy"] in ("same-origin", "no-referrer"), name
        assert "frame-ancestors 'none'" in headers["content-security-policy"], name
        assert not {"server", "x-powered-by", "access-control-allow-origin"} & set(headers), name


async def test_what_is_about_one_customer_is_kept_by_no_cache(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    given = await answers(client, operator)
    for name in ("checkout", "replay", "plain text", "form", "order", "cancelled", "orders", "decode", "unknown order"):
        assert given[name].headers.get("cache-control") == "no-store", name


async def test_an_error_of_the_database_is_told_like_any_other_outage(
    guarded: Stack, gateway_with: GatewayWith, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL refuses a statement; is not there; refuses the password: the same bytes, and no word of why."""
    away = "postgresql://checkout:hunter2-in-the-address@127.0.0.1:9/checkout"
    wrong = guarded.database_url.replace(guarded.database_url.split(":")[2].split("@")[0], "hunter2-wrong")
    nothing_granted = guarded.database_url.rpartition("/")[0] + "/postgres"
    bodies, logs = set(), ""
    for url in (away, wrong, nothing_granted):
        async with gateway_with(DATABASE_URL=url) as client:
            with caplog.at_level(logging.INFO):
                got = [
                    await client.get("/products"),
                    await client.get("/orders/ord_x"),
                    await client.post("/checkout/canary-of-an-outage", json={"email": "ada@outage.example"}),
                ]
        for answer in got:
            assert answer.status_code == 503, answer.text
            assert answer.headers["retry-after"]
            assert not INTERNALS.search(answer.text), answer.text
            bodies.add((answer.request.method, answer.content))
        logs += "".join(record.getMessage() for record in caplog.records if record.name == "api")
    assert len(bodies) == 2, "one to those who look, and one with its key to those who buy"
    for secret in ("hunter2", "ada@outage.example", "canary-of-an-outage"):
        assert secret not in logs
    assert "GET /products" in logs, "an operator must see it"


async def test_a_bug_is_told_without_its_traceback(guarded: Stack, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(settings_of(guarded))

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("SELECT hunter2 FROM postgres")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get("/bug")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json().keys() == {"type", "title", "status", "code"}
    assert "hunter2" not in answer.text
    assert "hunter2" in caplog.text, "whoever runs it must see why"


async def test_a_key_that_is_not_deployed_yet_is_an_outage_and_the_log_says_which(
    guarded: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings_of(guarded))

    @app.get("/encrypted")
    async def encrypted() -> None:
        raise PayloadKeyMissing("CHECKOUT_PAYLOAD_KEYS holds no key '2026-12'")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get("/encrypted")
    assert answer.status_code == 503
    assert "2026-12" not in answer.text
    assert "CHECKOUT_PAYLOAD_KEYS holds no key '2026-12'" in caplog.text


async def test_a_products_fields_cannot_become_script_in_json(client: httpx.AsyncClient) -> None:
    """Nothing sent comes back as HTML: the content type is JSON and nobody may guess otherwise."""
    answer = await client.post("/checkout", json={"items": [{"sku": "<script>alert(1)</script>", "quantity": 1}]})
    assert answer.headers["content-type"] == "application/problem+json"
    assert "<script>" not in answer.text
