"""PostgreSQL that is not there, falls silent, says goodbye, holds on, or takes no writes yet."""

import asyncio
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from payment_mock.database import UNREACHABLE, Database, is_unreachable, migrate
from payment_mock.settings import load_settings
from tests.integration.payment_mock.serving import free_port, start_process, until_ready
from tests.support.databases import DatabaseServer, connected, migrate_payments
from tests.support.proxy import TcpProxy


async def test_without_its_database_it_lives_says_503_and_becomes_ready_when_it_appears(
    database_server: DatabaseServer,
) -> None:
    async with database_server.empty() as url:
        name = url.rpartition("/")[2]
        missing = url.replace(name, f"{name}_later")
        process = await start_process(missing, free_port(), "http://127.0.0.1:9")
        try:
            await until_ready(process.url, "/livez")
            async with httpx.AsyncClient(base_url=process.url) as client:
                assert (await client.get("/readyz")).status_code == 503
                key = {"authorization": "Bearer sk_test_checkout_development"}
                answer = await client.get("/v1/checkout/sessions/cs_test_x", headers=key)
                assert (answer.status_code, answer.json()["error"]["type"]) == (503, "api_error")
            await database_server._execute(f"CREATE DATABASE {name}_later")
            await until_ready(process.url)
        finally:
            await process.kill()
            await database_server._execute(f"DROP DATABASE IF EXISTS {name}_later WITH (FORCE)")


async def test_a_database_that_falls_silent_is_told_soon_and_keeps_nobody_from_stopping(
    database_server: DatabaseServer,
) -> None:
    async with database_server.empty() as url:
        address = urlsplit(url)
        async with TcpProxy(str(address.hostname), int(address.port or 5432)) as proxy:
            through = url.replace(f":{address.port}/", f":{proxy.port}/")
            process = await start_process(through, free_port(), "http://127.0.0.1:9")
            try:
                await until_ready(process.url)
                proxy.blackhole()
                async with httpx.AsyncClient(base_url=process.url, timeout=8) as client:
                    assert (await client.get("/readyz")).status_code == 503
                process.process.terminate()
                async with asyncio.timeout(12):
                    await process.process.wait()
            finally:
                proxy.pass_through()
                await process.kill()


async def test_a_server_that_says_goodbye_costs_one_statement_and_kills_nobody(
    database_server: DatabaseServer,
) -> None:
    """asyncpg's own error for an idle connection on which the server's last word has come, and its end has not yet."""
    fields = b"SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
    async with database_server.empty() as url:
        address = urlsplit(url)
        async with (
            TcpProxy(str(address.hostname), int(address.port or 5432)) as proxy,
            Database.open(load_settings(DATABASE_URL=proxy.in_place_of(url))) as database,
        ):
            await database.check()
            proxy.say(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields, to="client")
            await asyncio.sleep(0.2)
            with pytest.raises(UNREACHABLE) as caught:
                await database.check()
            assert is_unreachable(caught.value)
            await database.check()


async def test_a_statement_that_is_given_up_does_not_stay_at_the_server(database_server: DatabaseServer) -> None:
    """Else each would keep a session there, as long as its lock is held, until PostgreSQL takes no more of them."""
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'payment_mock' AND state = 'active'"
    async with (
        database_server.empty() as url,
        connected(url) as other,
        Database.open(load_settings(DATABASE_URL=url)) as database,
    ):
        await other.execute("BEGIN; CREATE TABLE held (); COMMIT; BEGIN; LOCK TABLE held")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await database.run("SELECT count(*) FROM held")
        assert await other.fetchval(f"{sessions} AND datname = current_database()") == 0


async def test_a_database_that_was_read_only_at_the_first_start_is_migrated_once_it_is_not(
    database_server: DatabaseServer,
) -> None:
    """A session that began read-only stays so, whatever the database has been set to since."""
    async with database_server.empty() as url:
        name = url.rpartition("/")[2]
        await database_server._execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        async with Database.open(load_settings(DATABASE_URL=url)) as database:
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                async with database.single() as connection:
                    await migrate(connection)
            await database_server._execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
            async with database.single() as connection:
                await migrate(connection)


async def test_those_that_migrate_at_once_wait_for_each_other(database_server: DatabaseServer) -> None:
    async with database_server.empty() as url:
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
        await asyncio.gather(*(migrate_payments(engine) for _ in range(4)))
        await engine.dispose()
