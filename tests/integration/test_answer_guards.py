"""What an answer says when something is wrong: the key, the field, never a 500 (planted bugs run these)."""

import asyncio
import secrets
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

import db.audit
from checkout.errors import SettingsError
from checkout.settings import load_settings
from db.__main__ import _run as set_up
from stack.config import StackConfig
from stack.ports import free_ports
from stack.stack import Stack
from tests.support.databases import DatabaseServer
from tests.support.eventually import eventually
from tests.support.rig import TOKEN, Rig, gateway, rig, settings_for
from worker.payments import stripe_adapter

OPERATOR = {"Authorization": f"Bearer {TOKEN}"}
BROWSER = {"Accept": "text/html"}


@pytest.fixture(scope="module")
async def temporal_server(scratch: Path) -> AsyncIterator[Stack]:
    async with Stack(StackConfig.for_tests(scratch / "answer-guards", parts=("temporal",))) as stack:
        yield stack


@pytest.fixture
async def shop(database_url: str, engine: AsyncEngine, temporal_server: Stack) -> AsyncIterator[Rig]:
    async with rig(database_url, engine, temporal_server) as shop:
        yield shop


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
async def test_a_form_with_a_field_that_is_none_is_a_page_that_says_so(shop: Rig, form: dict[str, str]) -> None:
    answer = await shop.http.post("/checkout", data=form, headers=BROWSER)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"]
    assert "items" in answer.text


@pytest.mark.parametrize(
    ("field", "value"),
    [("sku", ""), ("sku", "No Such"), ("sku", "x" * 300), ("quantity", "0"), ("quantity", "1000001")],
)
async def test_a_restock_at_the_console_that_does_not_fit_is_refused_by_name(shop: Rig, field: str, value: str) -> None:
    at_home = {"Origin": shop.settings.public_url}
    await shop.http.post("/admin/login", data={"token": TOKEN}, headers=at_home)
    page = (await shop.http.get("/admin/console/stock")).text
    csrf = page.partition('<meta name="csrf" content="')[2].partition('"')[0]
    assert csrf, page
    form = {"sku": "pen", "quantity": "1", "csrf": csrf}
    assert (await shop.http.post("/admin/console/restock", data=form, headers=at_home)).status_code == 303
    answer = await shop.http.post("/admin/console/restock", data=form | {field: value}, headers=at_home)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_who_comes_back_again_and_again_does_not_wake_the_checkout_each_time(
    database_url: str, shop: Rig, temporal_server: Stack
) -> None:
    key, order_id, session_id = await shop.bought()
    limits = {"CHECKOUT_RATE_LIMIT_PER_MINUTE": 1}
    async with gateway(settings_for(database_url, temporal_server.config.temporal_port, **limits)) as client:
        for back in (
            f"success?session_id={session_id}",
            f"cancel?order_id={order_id}",
            f"success?session_id={session_id}",
        ):
            answer = await client.get(f"/checkout/{back}")
            assert (answer.status_code, answer.headers["location"][:7]) == (303, "/orders")
    history = await shop.temporal.get_workflow_handle(key).fetch_history()
    signalled = [event for event in history.events if event.HasField("workflow_execution_signaled_event_attributes")]
    assert len(signalled) == 1


async def test_an_audit_takes_the_time_it_needs(shop: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a large shop: 3 seconds are what others are given for a statement."""
    slow = db.audit.Check(1, "slow", "SELECT 'never' FROM pg_sleep(3.5) WHERE false", "SELECT 1 FROM pg_sleep(3.5)")
    monkeypatch.setattr(db.audit, "CHECKS", (slow,))
    answer = await shop.http.get("/admin/audit", headers=OPERATOR)
    assert answer.status_code == 200, answer.text


async def test_a_set_up_waits_for_another_one(database_server: DatabaseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with database_server.copy() as url:
        other = await asyncpg.connect(url)
        try:
            await other.execute("SELECT pg_advisory_lock(1592639710)")
            monkeypatch.setenv("DATABASE_URL", url)
            under_way = asyncio.create_task(set_up("setup"))

            async def waits() -> bool:
                return bool(await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

            await eventually(waits, what="the set-up at the lock")
            done, _ = await asyncio.wait({under_way}, timeout=3.5)
            assert not done
        finally:
            await other.close()
        await under_way


async def test_what_a_statement_was_asked_with_is_in_no_error(engine: AsyncEngine) -> None:
    """Errors go into logs and histories; an email, a payment's address, belong into neither."""
    email = f"{secrets.token_hex(8)}@private.example"
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError) as failure:
            await connection.execute(text("SELECT CAST(:email AS text), 1 / 0"), {"email": email})
    told = "".join(traceback.format_exception(failure.value))
    assert "division by zero" in told
    assert email not in told


def test_no_deadline_is_promised_that_the_provider_does_not_keep() -> None:
    most = 22 * 3600
    assert load_settings(CHECKOUT_PAYMENT_TIMEOUT=most).payment_timeout == most < stripe_adapter.PROVIDER_EXPIRY_MAX
    with pytest.raises(SettingsError, match="CHECKOUT_PAYMENT_TIMEOUT"):
        load_settings(CHECKOUT_PAYMENT_TIMEOUT=most + 1)
