"""kill -9 of the service as a process of its own; and how it starts, or does not."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

import pytest
import stripe
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from payment_mock.__main__ import main
from tests.integration.payment_mock.conftest import merchant_at
from tests.integration.payment_mock.serving import (
    Process,
    Receiver,
    eventually,
    free_port,
    in_process,
    serve,
    start_process,
    until_ready,
)
from tests.support.databases import START_THE_PAYMENT_SERVICES_DATABASE, DatabaseServer


@pytest.fixture(scope="module")
async def crash_database_url(database_server: DatabaseServer) -> AsyncIterator[str]:
    """A database of their own: another live process would deliver what a killed one left behind."""
    async with database_server.empty() as url:
        yield url


@pytest.fixture(scope="module")
async def crash_engine(crash_database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(crash_database_url.replace("postgresql://", "postgresql+asyncpg://"))
    yield engine
    await engine.dispose()


@contextlib.asynccontextmanager
async def running(database_url: str, port: int, webhook_url: str) -> AsyncIterator[Process]:
    process = await start_process(database_url, port, webhook_url)
    try:
        await until_ready(process.url)
        yield process
    finally:
        await process.kill()


async def test_an_event_survives_kill_9_between_commit_and_delivery(
    crash_database_url: str, crash_engine: AsyncEngine
) -> None:
    port, closed, receiver = free_port(), free_port(), Receiver()
    async with running(crash_database_url, port, f"http://127.0.0.1:{closed}") as first:
        async with merchant_at(first.url, crash_engine) as merchant:
            paid = await merchant.paid()
        await first.kill()
    async with serve(receiver, closed), running(crash_database_url, port, f"http://127.0.0.1:{closed}"):
        [posted] = await receiver.wait_for(paid.id)
    assert posted.type == "checkout.session.completed"


async def test_an_event_whose_delivery_was_cut_by_kill_9_is_sent_again(
    crash_database_url: str, crash_engine: AsyncEngine
) -> None:
    port, receiver = free_port(), Receiver(gate=asyncio.Event())
    async with serve(receiver) as url:
        async with running(crash_database_url, port, url) as first:
            async with merchant_at(first.url, crash_engine) as merchant:
                paid = await merchant.paid()
            await receiver.wait_for(paid.id)
            await first.kill()
        assert receiver.gate is not None
        receiver.gate.set()
        # Sooner than the dead process's lease of 20 s runs out: the wait is limited to half of it.
        async with running(crash_database_url, port, url):
            posts = await receiver.wait_for(paid.id, 2)
    assert posts[0].body == posts[1].body


async def test_a_key_of_a_killed_process_is_not_stuck_and_nothing_of_it_remains(
    crash_database_url: str, crash_engine: AsyncEngine
) -> None:
    port = free_port()
    key = f"killed-{port}"
    async with (
        running(crash_database_url, port, "http://127.0.0.1:9") as first,
        merchant_at(first.url, crash_engine) as merchant,
    ):
        rule = await merchant.plant("create.before", "hold", match={"client_reference_id": key})
        request = asyncio.create_task(merchant.create(key, client_reference_id=key, metadata={}))
        await merchant.until_holding(rule)
        await first.kill()
        with pytest.raises(stripe.APIConnectionError):
            await request
    async with (
        running(crash_database_url, port, "http://127.0.0.1:9") as second,
        merchant_at(second.url, crash_engine) as merchant,
    ):
        created = await merchant.create(key, client_reference_id=key, metadata={})
        rows = await merchant.rows("SELECT id FROM payments.sessions WHERE client_reference_id = :key", key=key)
        await merchant.http.delete("/_faults")
    assert [row.id for row in rows] == [created.id]


async def test_a_rule_outlives_the_process_and_so_does_its_count(
    crash_database_url: str, crash_engine: AsyncEngine
) -> None:
    port = free_port()
    async with (
        running(crash_database_url, port, "http://127.0.0.1:9") as first,
        merchant_at(first.url, crash_engine) as merchant,
    ):
        session = await merchant.create()
        match = {"session_id": session.id}
        rule = await merchant.plant("retrieve.before", "error", status=503, times=2, match=match)
        assert (await merchant.http.get(f"/v1/checkout/sessions/{session.id}")).status_code == 503
    async with (
        running(crash_database_url, port, "http://127.0.0.1:9") as second,
        merchant_at(second.url, crash_engine) as merchant,
    ):
        statuses = [(await merchant.http.get(f"/v1/checkout/sessions/{session.id}")).status_code for _ in range(2)]
        assert statuses == [503, 200]
        assert (await merchant.rule(rule))["fired"] == 2
        await merchant.http.delete("/_faults")


async def test_a_start_on_a_migrated_database_does_not_wait_for_alembic(crash_database_url: str) -> None:
    async with running(crash_database_url, free_port(), "http://127.0.0.1:9"):
        pass  # migrated from here on
    script = START_THE_PAYMENT_SERVICES_DATABASE + "sys.exit('alembic' in sys.modules)"
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, env={"PATH": os.environ["PATH"], "DATABASE_URL": crash_database_url}
    )
    assert await started.wait() == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHECKOUT_ENV", "production"),
        ("CHECKOUT_PAYMENT_PORT", "70000"),
        ("STRIPE_SECRET_KEY", "sk_live_abc"),
        ("STRIPE_WEBHOOK_SECRET", " , "),
        ("PAYMENT_WEBHOOK_URL", "localhost/hook"),
        ("DATABASE_URL", "mysql://localhost/x"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_its_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for known in [known for known in os.environ if known.startswith(("CHECKOUT_", "STRIPE_", "PAYMENT_"))]:
        monkeypatch.delenv(known)
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hidden@127.0.0.1:1/x")
    monkeypatch.setenv(name, value)
    assert main() == 2
    said = capsys.readouterr().err
    assert name in said
    assert "hidden" not in said


async def test_what_a_killed_process_had_in_hand_is_sent_by_another_once_its_lease_is_over(
    database_server: DatabaseServer,
) -> None:
    """Nobody starts the killed one again, which would send it at once: the lease alone frees what it had taken."""
    gate = asyncio.Event()
    receiver = Receiver(gate=gate)
    async with database_server.empty() as database_url, serve(receiver) as address:
        engine = create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://"))
        # It looks rarely, so that it does not come before the doomed one.
        async with in_process(database_url, f"{address}/hook", PAYMENT_WEBHOOK_TIMEOUT=1, PAYMENT_POLL_INTERVAL=5):
            doomed = await start_process(database_url, free_port(), f"{address}/hook", PAYMENT_WEBHOOK_TIMEOUT="1")
            try:
                await until_ready(doomed.url)
                async with merchant_at(doomed.url, engine) as merchant:
                    paid = await merchant.paid()
                await receiver.wait_for(paid.id)
            finally:
                await doomed.kill()
            gate.set()
            await receiver.wait_for(paid.id, 2)
        await engine.dispose()


async def test_what_comes_by_itself_comes_once_though_the_service_was_killed_meanwhile(
    database_server: DatabaseServer,
) -> None:
    async with database_server.empty() as url:
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
        doomed = await start_process(url, free_port(), "http://127.0.0.1:9/", PAYMENT_LATER="1")
        try:
            await until_ready(doomed.url)
            async with merchant_at(doomed.url, engine) as merchant:
                session = await merchant.create()
                await merchant.http.post(f"/payment/{session.id}/pay", data={"payment_method": "pm_card_createDispute"})
        finally:
            await doomed.kill()
        async with in_process(url, "http://127.0.0.1:9/") as again, merchant_at(again, engine) as merchant:

            async def disputed() -> bool:
                return bool((await merchant.stripe.v1.disputes.list_async()).data)

            await eventually(disputed)
            told = await merchant.rows("SELECT 1 FROM payments.events WHERE type = 'charge.dispute.created'")
            assert len(told) == 1
        await engine.dispose()
