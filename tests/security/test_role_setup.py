"""Setting up database roles: from nothing, again, on managed PostgreSQL, and what is refused.

In databases of the tests' own. Roles belong to the whole server, so each test takes names of its own.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.errors import SettingsError
from db.engine import STATEMENT_TIMEOUT, create_engine
from db.roles import grant_roles, roles_of
from db.setup import migrate, seed
from runtime.settings import Settings, load_settings
from stack.stack import Stack
from tests.support.databases import DatabaseServer, connected, migrate_payments

DENIED = asyncpg.InsufficientPrivilegeError


@asynccontextmanager
async def session(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection whose work is rolled back."""
    connection = await asyncpg.connect(url)
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()


@asynccontextmanager
async def empty_database(guarded: Stack, owner: str | None = None) -> AsyncIterator[tuple[AsyncEngine, str, str]]:
    """An empty database, its engine and address as `owner`, and a prefix for roles' names."""
    server, prefix = DatabaseServer(guarded.database_url), f"t{secrets.token_hex(4)}"
    async with server.empty() as url:
        parts_ = urlsplit(url)
        if owner is not None:
            async with connected(url) as root:
                await root.execute(f"CREATE ROLE {prefix}_{owner} LOGIN CREATEROLE PASSWORD 'pw'")
                await root.execute(f'ALTER DATABASE "{parts_.path[1:]}" OWNER TO {prefix}_{owner}')
            url = parts_._replace(netloc=f"{prefix}_{owner}:pw@{parts_.hostname}:{parts_.port}").geturl()
        engine = create_engine(url, pool_size=1)
        try:
            yield engine, url, prefix
        finally:
            await engine.dispose()
    async with connected(guarded.database_url) as root:
        for (name,) in await root.fetch("SELECT rolname FROM pg_roles WHERE starts_with(rolname, $1)", prefix + "_"):
            await root.execute(f"DROP OWNED BY {name}")
        for (name,) in await root.fetch("SELECT rolname FROM pg_roles WHERE starts_with(rolname, $1)", prefix + "_"):
            await root.execute(f"DROP ROLE {name}")


def as_role(url: str, role: str, password: str = "pw:'%40\\") -> str:
    parts_ = urlsplit(url)
    return parts_._replace(netloc=f"{role}:{quote(password, safe='')}@{parts_.hostname}:{parts_.port}").geturl()


def role_settings(url: str, prefix: str, kinds: tuple[str, ...] = ("gateway", "worker", "payment")) -> Settings:
    urls = {f"CHECKOUT_{kind.upper()}_DATABASE_URL": as_role(url, f"{prefix}_{kind}") for kind in kinds}
    return load_settings(DATABASE_URL=url, **urls)


async def test_set_up_can_be_run_again_and_takes_away_what_was_granted_by_hand(guarded: Stack) -> None:
    async with empty_database(guarded) as (engine, url, prefix):
        await migrate(engine)
        await seed(engine)
        roles = roles_of(role_settings(url, prefix))
        await grant_roles(engine, roles)
        async with connected(url) as owner:
            await owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA shop TO {prefix}_gateway")
            await owner.execute(f"GRANT UPDATE (unit_amount) ON shop.products TO {prefix}_worker")
            await owner.execute(f"GRANT CREATE ON SCHEMA shop TO {prefix}_payment")
        await grant_roles(engine, roles)
        for role, statement in (
            ("gateway", "UPDATE shop.products SET on_hand = 0"),
            ("worker", "UPDATE shop.products SET unit_amount = 1"),
            ("payment", "CREATE TABLE shop.mine (x int)"),
        ):
            async with session(as_role(url, f"{prefix}_{role}")) as connection:
                with pytest.raises(DENIED):
                    await connection.execute(statement)


async def test_a_manager_who_is_no_superuser_can_set_up_a_database_with_a_ledger_of_old(guarded: Stack) -> None:
    """As on managed PostgreSQL: CREATEROLE and a database of one's own, whose tables were all the owner's so far."""
    async with empty_database(guarded, owner="manager") as (engine, url, prefix):
        await migrate(engine)
        await migrate_payments(engine)
        await grant_roles(engine, roles_of(role_settings(url, prefix)))
        payment = create_engine(as_role(url, f"{prefix}_payment"), pool_size=1)
        try:
            await migrate_payments(payment)
            async with session(as_role(url, f"{prefix}_payment")) as connection:
                await connection.execute("ALTER TABLE payments.sessions ADD COLUMN mine int")
                await connection.execute("SELECT nextval('payments.faults_version')")
        finally:
            await payment.dispose()
        async with session(as_role(url, f"{prefix}_gateway")) as connection:
            assert await connection.fetchval("SELECT count(*) FROM payments.ledger") == 0
            with pytest.raises(DENIED):
                await connection.execute("DELETE FROM payments.ledger")


async def test_however_long_the_ledger_of_old_takes_to_change_hands_each_of_its_tables_may_take_its_time(
    guarded: Stack,
) -> None:
    async with empty_database(guarded) as (_, url, prefix), connected(url) as owner:
        engine = create_engine(url, pool_size=1, command_timeout=None)
        await migrate(engine)
        await migrate_payments(engine)
        tables = "FROM pg_tables WHERE schemaname = 'payments'"
        pause = 1.2 * STATEMENT_TIMEOUT / await owner.fetchval(f"SELECT count(*) {tables}")
        await owner.execute(f"""
            CREATE FUNCTION public.dawdle() RETURNS event_trigger LANGUAGE plpgsql AS
                'BEGIN PERFORM pg_sleep({pause}); END';
            CREATE EVENT TRIGGER dawdle ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION public.dawdle()
        """)
        await grant_roles(engine, roles_of(role_settings(url, prefix, ("payment",))))
        await engine.dispose()
        assert await owner.fetch(f"SELECT DISTINCT tableowner {tables}") == [(f"{prefix}_payment",)]


async def test_a_role_with_a_new_password_gets_it_and_no_log_can_hold_it(guarded: Stack) -> None:
    async with empty_database(guarded) as (engine, url, prefix):
        await migrate(engine)
        await grant_roles(engine, roles_of(role_settings(url, prefix, ("worker",))))
        changed = as_role(url, f"{prefix}_worker", "another-one")
        await grant_roles(engine, roles_of(load_settings(DATABASE_URL=url, CHECKOUT_WORKER_DATABASE_URL=changed)))
        async with connected(changed) as connection:
            assert await connection.fetchval("SELECT 1") == 1
        async with connected(url) as owner:
            stored = await owner.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = $1", f"{prefix}_worker")
        assert stored.startswith("SCRAM-SHA-256$4096:")


async def test_a_role_that_has_every_right_anyway_is_refused(guarded: Stack) -> None:
    async with empty_database(guarded) as (engine, url, prefix):
        await migrate(engine)
        async with connected(url) as owner:
            await owner.execute(f"CREATE ROLE {prefix}_gateway SUPERUSER LOGIN PASSWORD 'pw'")
        settings = load_settings(
            DATABASE_URL=url, CHECKOUT_GATEWAY_DATABASE_URL=as_role(url, f"{prefix}_gateway", "pw")
        )
        with pytest.raises(SettingsError, match=r"CHECKOUT_GATEWAY_DATABASE_URL.*superuser"):
            await grant_roles(engine, roles_of(settings))


async def test_who_may_not_make_roles_is_told_so_in_one_sentence(guarded: Stack) -> None:
    async with empty_database(guarded, owner="manager") as (engine, url, prefix):
        await migrate(engine)
        async with connected(guarded.database_url) as root:
            await root.execute(f"ALTER ROLE {prefix}_manager NOCREATEROLE")
        with pytest.raises(SettingsError, match=r"CHECKOUT_PAYMENT_DATABASE_URL.*Create the role") as refusal:
            await grant_roles(engine, roles_of(role_settings(url, prefix)))
        assert "pw:" not in str(refusal.value)


def test_two_processes_cannot_share_a_role_nor_one_have_the_owners() -> None:
    owner = "postgresql://owner:pw@127.0.0.1/shop"
    with pytest.raises(SettingsError, match=r"CHECKOUT_GATEWAY_DATABASE_URL.*DATABASE_URL"):
        roles_of(load_settings(DATABASE_URL=owner, CHECKOUT_GATEWAY_DATABASE_URL=owner))
    same = "postgresql://one:pw@127.0.0.1/shop"
    with pytest.raises(SettingsError, match=r"CHECKOUT_WORKER_DATABASE_URL.*CHECKOUT_GATEWAY_DATABASE_URL"):
        roles_of(
            load_settings(DATABASE_URL=owner, CHECKOUT_GATEWAY_DATABASE_URL=same, CHECKOUT_WORKER_DATABASE_URL=same)
        )
