"""What the gateway refuses, and what it says then: the key, the field, never a 500."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from checkout.errors import PaymentRefused
from checkout.orders import OrderStatus
from stack.probes import free_ports
from stack.stack import Stack
from tests.support.provider import always
from tests.support.rig import TOKEN, Rig, gateway, settings_for

OPERATOR = {"Authorization": f"Bearer {TOKEN}"}
BROWSER = {"Accept": "text/html"}


@pytest.fixture
async def cut_off(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway whose Temporal is away, and which lets a client ask three times a minute."""
    limits = {"CHECKOUT_RATE_LIMIT_PER_MINUTE": 3}
    async with gateway(settings_for(database_url, free_ports(1)[0], **limits)) as client:
        yield client


async def test_whoever_brought_no_key_is_told_the_made_up_one_also_when_temporal_is_away(
    cut_off: httpx.AsyncClient,
) -> None:
    """The checkout may have begun, and the answer to that be lost: without its key nobody could go on with it."""
    answer = await cut_off.post("/checkout")
    assert answer.status_code == 503
    assert len(answer.headers["idempotency-key"]) > 20
    assert "this answer's Idempotency-Key" in answer.json()["detail"]
    assert "idempotency-key" not in (await cut_off.get("/orders/ord_x")).headers


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b"{"),
        (413, b'{"items": []}'.ljust(64 * 1024 + 1)),
        (422, b'{"items": 7}'),
        (422, b'{"items": [{"sku": "unicorn", "quantity": 1}]}'),
        (503, b""),
    ],
)
async def test_every_answer_says_the_key_it_was_asked_with(
    cut_off: httpx.AsyncClient, status: int, body: bytes
) -> None:
    answers = [
        await cut_off.post("/checkout/mine", content=body),
        await cut_off.post("/checkout", content=body, headers={"Idempotency-Key": "mine"}),
    ]
    assert [answer.status_code for answer in answers] == [status, status]
    assert [answer.headers.get("idempotency-key") for answer in answers] == ["mine", "mine"]


async def test_so_does_the_one_that_says_too_many(cut_off: httpx.AsyncClient) -> None:
    for _ in range(3):
        await cut_off.post("/checkout/mine", content=b"{")
    answer = await cut_off.post("/checkout/mine", content=b"{")
    assert (answer.status_code, answer.headers.get("idempotency-key")) == (429, "mine")


@pytest.mark.parametrize("form", [{"items": "x"}, {"items": ""}, {"items": "x", "email": "a@b.example"}])
async def test_a_form_with_a_field_that_is_none_is_a_page_that_says_so(rig: Rig, form: dict[str, str]) -> None:
    answer = await rig.http.post("/checkout", data=form, headers=BROWSER)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"]
    assert "items" in answer.text


@pytest.mark.parametrize(
    ("field", "value"),
    [("sku", ""), ("sku", "No Such"), ("sku", "x" * 300), ("quantity", "0"), ("quantity", "1000001")],
)
async def test_a_restock_at_the_console_that_does_not_fit_is_refused_by_name(rig: Rig, field: str, value: str) -> None:
    at_home = {"Origin": rig.settings.public_url}
    await rig.http.post("/admin/login", data={"token": TOKEN}, headers=at_home)
    page = (await rig.http.get("/admin/console/stock")).text
    csrf = page.partition('<meta name="csrf" content="')[2].partition('"')[0]
    assert csrf, page
    form = {"sku": "pen", "quantity": "1", "csrf": csrf}
    assert (await rig.http.post("/admin/console/restock", data=form, headers=at_home)).status_code == 303
    answer = await rig.http.post("/admin/console/restock", data=form | {field: value}, headers=at_home)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_what_cancel_and_refund_answer_is_declared(rig: Rig) -> None:
    key, order_id, session_id = await rig.bought()
    paths = (await rig.http.get("/openapi.json")).json()["paths"]
    refused = await rig.http.post(f"/admin/orders/{order_id}/refund", headers=OPERATOR)
    assert refused.status_code == 409
    assert "409" in paths["/admin/orders/{order_id}/refund"]["post"]["responses"]
    rig.provider.pay(session_id)
    await rig.tell(session_id, key)
    await rig.until(order_id, OrderStatus.FULFILLED, OrderStatus.DISPATCHED)
    assert (await rig.cancel(order_id)).status_code == 409
    assert "409" in paths["/orders/{order_id}/cancel"]["post"]["responses"]
    rig.provider.fail["refund"] = always(PaymentRefused("no balance"))
    assert (await rig.http.post(f"/admin/orders/{order_id}/refund", headers=OPERATOR)).status_code == 502
    assert "502" in paths["/admin/orders/{order_id}/refund"]["post"]["responses"]


async def test_who_comes_back_again_and_again_does_not_wake_the_checkout_each_time(
    database_url: str, rig: Rig, temporal_server: Stack
) -> None:
    key, order_id, session_id = await rig.bought()
    limits = {"CHECKOUT_RATE_LIMIT_PER_MINUTE": 1}
    async with gateway(settings_for(database_url, temporal_server.config.settings.temporal_port, **limits)) as client:
        for back in (
            f"success?session_id={session_id}",
            f"cancel?order_id={order_id}",
            f"success?session_id={session_id}",
        ):
            answer = await client.get(f"/checkout/{back}")
            assert (answer.status_code, answer.headers["location"][:7]) == (303, "/orders")
    history = await rig.temporal.get_workflow_handle(key).fetch_history()
    signalled = [event for event in history.events if event.HasField("workflow_execution_signaled_event_attributes")]
    assert len(signalled) == 1


async def test_an_audit_takes_the_time_it_needs(rig: Rig) -> None:
    """In a large shop: 3 seconds are what others are given for a statement. Here, one of its tables is slow to read."""
    async with rig.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE shop.stock_movements RENAME TO movements"))
        slow = "CREATE VIEW shop.stock_movements AS SELECT m.* FROM shop.movements m, pg_sleep(3.5)"
        await connection.execute(text(slow))
    answer = await rig.http.get("/admin/audit", headers=OPERATOR)
    assert answer.status_code == 200, answer.text
    assert answer.elapsed > timedelta(seconds=3.5)


async def test_only_the_operators_token_opens_the_operators_doors(rig: Rig) -> None:
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        assert (await rig.http.get("/admin/orders", headers=wrong)).status_code == 401
    assert (await rig.http.get("/admin/orders", headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 200


async def test_a_body_beyond_64_kib_is_not_read(rig: Rig) -> None:
    padded = b'{"items": [{"sku": "pen", "quantity": 1}]}'.ljust(64 * 1024 + 1)
    assert (await rig.http.post("/checkout", content=padded)).status_code == 413
    assert (await rig.http.post("/checkout", content=padded[:-1])).status_code == 200


async def test_another_sites_page_cannot_buy(rig: Rig) -> None:
    assert (await rig.http.post("/checkout", headers={"Origin": "https://evil.example"})).status_code == 403


async def test_a_product_that_does_not_exist_is_refused_before_a_workflow_starts(rig: Rig) -> None:
    answer = await rig.buy("unicorns", items=[{"sku": "unicorn", "quantity": 1}])
    assert answer.status_code == 422
    assert not await rig.is_known("unicorns")
