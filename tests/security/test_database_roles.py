"""Each process can do in the database what its work takes, and nothing else, even when all its code is hostile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from runtime.settings import load_settings
from stack.config import StackConfig
from stack.environment import python_environment
from stack.stack import Stack, build, cluster, credentials_of

DENIED = asyncpg.InsufficientPrivilegeError


def url_of(stack: Stack, part: str) -> str:
    return cluster(stack.config).url(f"checkout_{part}")


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


async def test_every_process_of_the_stack_is_logged_in_as_its_own_role(guarded: Stack) -> None:
    async with session(guarded.database_url) as owner:
        rows = await owner.fetch(
            "SELECT DISTINCT application_name, usename FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )
    logged_in = {row["application_name"]: row["usename"] for row in rows}
    assert logged_in["checkout-gateway"] == "checkout_gateway"
    assert logged_in["checkout-worker"] == "checkout_worker"
    assert logged_in["payment_mock"] == "checkout_payment"


async def test_no_process_knows_another_ones_password(guarded: Stack) -> None:
    built = {part.name: part.env for part in build(guarded.config, guarded.credentials)}
    passwords = {part: urlsplit(url_of(guarded, part)).password for part in ("gateway", "worker", "payment")}
    passwords["owner"] = urlsplit(guarded.database_url).password
    for part in ("gateway", "worker", "payment"):
        others = [password for name, password in passwords.items() if name != part]
        known = [name for name, value in built[part].items() if any(str(other) in value for other in others)]
        assert known == [], part


FOR_NOBODY = [
    "UPDATE shop.products SET unit_amount = 1",
    "INSERT INTO shop.products (sku, name, unit_amount, currency, on_hand) VALUES ('x', 'x', 1, 'usd', 1)",
    "UPDATE shop.orders SET amount_total = 1",
    "UPDATE shop.orders SET email = 'x@example.com'",
    "UPDATE shop.order_events SET kind = 'paid'",
    "UPDATE shop.stock_movements SET delta = 1",
    "DELETE FROM shop.orders",
    "UPDATE shop.order_lines SET name = 'x'",
    "DELETE FROM shop.order_lines",
    "DELETE FROM shop.reservations",
    "TRUNCATE shop.reservations",
    "DELETE FROM shop.stock_movements",
    "TRUNCATE shop.order_events",
    "ALTER TABLE shop.orders DISABLE TRIGGER guard_order",
    "ALTER TABLE shop.products DROP CONSTRAINT products_on_hand_check",
    "SET session_replication_role = replica",
    "DROP TABLE shop.order_events",
    "CREATE TABLE shop.mine (x int)",
    "CREATE TABLE public.mine (x int)",
    "CREATE SCHEMA mine",
    "CREATE OR REPLACE FUNCTION shop.guard_order() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "DELETE FROM shop.audit_due",
    "INSERT INTO shop.audit_due (order_id) VALUES ('x')",
    "UPDATE shop.stock_sums SET moved = 0",
    "UPDATE shop.audit_state SET patrolled_to = 'z'",
    "UPDATE payments.ledger SET amount = 1",
    "UPDATE payments.sessions SET status = 'complete'",
    "SET ROLE checkout",
    "CREATE ROLE mine SUPERUSER",
    "COPY shop.products TO PROGRAM 'cat'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT rolpassword FROM pg_authid",
]
FOR_THE_WORKER = [
    "UPDATE shop.products SET on_hand = on_hand + 1",
    "UPDATE shop.orders SET status = 'fulfilled'",
    "UPDATE shop.reservations SET state = 'released'",
    "INSERT INTO shop.stock_movements (sku, delta, cause) VALUES ('pen', 5, 'restock')",
    "INSERT INTO shop.order_events (order_id, seq, kind) VALUES ('x', 1, 'paid')",
    "SELECT 1 FROM shop.products FOR UPDATE",
]


@pytest.mark.parametrize("statement", [*FOR_NOBODY, *FOR_THE_WORKER, "SET ROLE checkout_worker"])
async def test_the_gateway_changes_neither_stock_nor_orders_nor_payments(guarded: Stack, statement: str) -> None:
    async with session(url_of(guarded, "gateway")) as connection:
        with pytest.raises(DENIED):
            await connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        *FOR_NOBODY,
        "SELECT * FROM payments.ledger",
        "SELECT shop.restock('pen', 1)",
        "SELECT shop.audited('{x}', '{1}', '{}', NULL, NULL)",
        "SET ROLE postgres",
    ],
)
async def test_the_worker_neither_deletes_nor_alters_nor_sees_the_payment_ledger(
    guarded: Stack, statement: str
) -> None:
    async with session(url_of(guarded, "worker")) as connection:
        with pytest.raises((DENIED, asyncpg.InvalidParameterValueError, asyncpg.UndefinedObjectError)):
            await connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT email FROM shop.orders",
        "SELECT * FROM shop.products",
        "SELECT shop.restock('pen', 1)",
        "CREATE SCHEMA mine",
        "CREATE TABLE public.mine (x int)",
        "SET ROLE checkout_gateway",
        *FOR_THE_WORKER,
    ],
)
async def test_the_payment_service_sees_nothing_of_the_shop(guarded: Stack, statement: str) -> None:
    async with session(url_of(guarded, "payment")) as connection:
        with pytest.raises(DENIED):
            await connection.execute(statement)


async def test_the_gateway_brings_goods_in_and_takes_none_out(guarded: Stack) -> None:
    async with session(url_of(guarded, "gateway")) as connection:
        before = await connection.fetchval("SELECT on_hand FROM shop.products WHERE sku = 'pen'")
        assert await connection.fetchval("SELECT shop.restock('pen', 3)") == before + 3
        assert await connection.fetchval("SELECT shop.restock('no-such-sku', 3)") is None
        moved = "SELECT delta, cause FROM shop.stock_movements ORDER BY id DESC LIMIT 1"
        assert tuple(await connection.fetchrow(moved)) == (3, "restock")
    for absurd in ("-1", "0", "1000001", "NULL"):
        async with session(url_of(guarded, "gateway")) as connection:
            with pytest.raises(asyncpg.CheckViolationError):
                await connection.fetchval(f"SELECT shop.restock('pen', {absurd})")


async def test_the_gateway_changes_the_catalogue_by_its_functions_only(guarded: Stack) -> None:
    async with session(url_of(guarded, "gateway")) as connection:
        before = await connection.fetchval("SELECT on_hand FROM shop.products WHERE sku = 'pen'")
        assert await connection.fetchval("SELECT shop.write_off('pen', 3, 'broken')") == before - 3
        assert await connection.fetchval("SELECT shop.write_off('pen', 1000000, NULL)") is None
        assert await connection.fetchval("SELECT shop.put_product('new', 'New', '', '', 5, 'usd')") is True
        await connection.execute("SELECT shop.set_withdrawn('new', true)")
        row = await connection.fetchrow("SELECT on_hand, withdrawn_at IS NULL FROM shop.products WHERE sku = 'new'")
        assert tuple(row) == (0, False)
    for absurd in ("-1", "0", "1000001", "NULL"):
        async with session(url_of(guarded, "gateway")) as connection:
            with pytest.raises(asyncpg.CheckViolationError):
                await connection.fetchval(f"SELECT shop.write_off('pen', {absurd}, NULL)")


@pytest.mark.parametrize("part", ["worker", "payment"])
@pytest.mark.parametrize(
    "call", ["write_off('pen', 1, '')", "put_product('x', 'x', '', '', 1, 'usd')", "set_withdrawn('pen', true)"]
)
async def test_nobody_else_does(guarded: Stack, part: str, call: str) -> None:
    async with session(url_of(guarded, part)) as connection:
        with pytest.raises(DENIED):
            await connection.execute(f"SELECT shop.{call}")


async def test_restock_cannot_be_tricked_into_another_table_of_that_name(guarded: Stack) -> None:
    """PostgreSQL, "Writing SECURITY DEFINER Functions Safely": the caller's search path must not matter."""
    async with session(url_of(guarded, "gateway")) as connection:
        await connection.execute("SET search_path = pg_temp, shop")
        before = await connection.fetchval("SELECT on_hand FROM shop.products WHERE sku = 'pen'")
        assert await connection.fetchval("SELECT shop.restock('pen', 1)") == before + 1
    async with session(guarded.database_url) as owner:
        config = await owner.fetchval("SELECT proconfig::text FROM pg_proc WHERE proname = 'restock'")
    assert "search_path=pg_catalog, pg_temp" in config


async def test_the_auditor_may_read_the_payment_ledger_and_its_future_tables(guarded: Stack) -> None:
    async with session(guarded.database_url) as owner:
        await owner.execute("SET ROLE checkout_payment")
        await owner.execute("CREATE TABLE payments.made_later (x int)")
        assert await owner.fetchval("SELECT has_table_privilege('checkout_gateway', 'payments.made_later', 'SELECT')")
    async with session(url_of(guarded, "gateway")) as connection:
        assert await connection.fetchval("SELECT count(*) >= 0 FROM payments.ledger")


def test_roles_in_a_database_of_ones_own_reach_their_processes_and_no_other(tmp_path: Path) -> None:
    """Set in the environment or in `.env`: the settings know both."""
    own = "postgresql://owner:pw-of-owner@db.example/shop"
    given = {part: f"postgresql://{part}:pw-of-{part}@db.example/shop" for part in ("gateway", "worker", "payment")}
    variables = {f"CHECKOUT_{part.upper()}_DATABASE_URL": url for part, url in given.items()}
    settings = load_settings(DATABASE_URL=own, CHECKOUT_DATA_DIR=tmp_path, **variables)
    config = StackConfig(settings=settings, base_env={})
    credentials = credentials_of(config)
    for part in given:
        env = python_environment(config, credentials, part)
        assert [value for value in env.values() if "pw-of-" in value] == [given[part]]
    set_up = python_environment(config, credentials, "setup")
    assert set_up["DATABASE_URL"] == own
    assert variables.items() <= set_up.items()
