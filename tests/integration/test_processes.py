"""What a process does before it serves anybody, and what it says of its troubles."""

import asyncio
import secrets
import traceback
from types import ModuleType

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

import api.__main__ as api_process
import worker.__main__ as worker_process
from checkout.errors import SettingsError
from db.__main__ import _run as set_up
from runtime.settings import load_settings
from tests.support.databases import DatabaseServer
from tests.support.eventually import eventually
from worker.payments import stripe_adapter


@pytest.mark.parametrize(
    ("name", "value"), [("TEMPORAL_PROFILE", "nope"), ("TEMPORAL_TLS_CLIENT_CERT_PATH", "/no/such/file")]
)
@pytest.mark.parametrize("process", [api_process, worker_process])
def test_a_wrong_variable_of_temporals_is_named_at_start(
    process: ModuleType, name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    if "CERT" in name:
        monkeypatch.setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", value)
    assert process.main() == 2
    assert name in capsys.readouterr().err


async def test_a_set_up_waits_for_another_one(database_server: DatabaseServer) -> None:
    async with database_server.copy() as url:
        other = await asyncpg.connect(url)
        try:
            await other.execute("SELECT pg_advisory_lock(1592639710)")
            under_way = asyncio.create_task(set_up(load_settings(DATABASE_URL=url), "setup"))

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
