"""Databases for tests: one server, a template migrated once, a copy a test; and a copy is used again, emptied, by the
next test as long as nothing but rows has changed in it."""

import itertools
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import create_engine
from db.setup import migrate, seed
from payment_mock.database import migrate as migrate_payment_tables

_TEMPLATE = "shop_template"
# Whatever makes a database another one than its template but its rows: what is defined in it, whose it is, what is set,
# and what the planner knows of it.
_SHAPE = """
    WITH ours AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
    tables AS (SELECT c.* FROM pg_class c JOIN ours n ON n.oid = c.relnamespace)
    SELECT md5(string_agg(part, E'\n' ORDER BY part)) FROM (
        SELECT concat_ws('|', n.nspname, n.nspowner, n.nspacl) FROM pg_namespace n JOIN ours USING (oid)
        UNION ALL SELECT concat_ws('|', relname, relkind, relowner, relacl, reloptions, relrowsecurity, relhasrules,
                                   reltablespace, relpersistence) FROM tables
        UNION ALL SELECT concat_ws('|', attrelid, attname, atttypid, attnotnull, attcollation, attacl, attisdropped,
                                   attstattarget) FROM pg_attribute WHERE attrelid IN (SELECT oid FROM tables)
        UNION ALL SELECT concat_ws('|', attrelid, adnum, pg_get_expr(adbin, adrelid)) FROM pg_attrdef
                    JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
        UNION ALL SELECT pg_get_indexdef(indexrelid) || indisvalid FROM pg_index
                   WHERE indrelid IN (SELECT oid FROM tables)
        UNION ALL SELECT concat_ws('|', conrelid, conname, pg_get_constraintdef(oid)) FROM pg_constraint
                   WHERE connamespace IN (SELECT oid FROM ours)
        UNION ALL SELECT concat_ws('|', tgrelid, tgname, tgenabled, pg_get_triggerdef(oid)) FROM pg_trigger
                   WHERE NOT tgisinternal
        UNION ALL SELECT concat_ws('|', tgrelid, tgenabled) FROM pg_trigger WHERE tgisinternal
        UNION ALL SELECT concat_ws('|', proname, proowner, proacl, prosecdef, proconfig, prosrc) FROM pg_proc
                   WHERE pronamespace IN (SELECT oid FROM ours)
        UNION ALL SELECT concat_ws('|', typname, typacl) FROM pg_type WHERE typnamespace IN (SELECT oid FROM ours)
        UNION ALL SELECT concat_ws('|', setrole, setconfig) FROM pg_db_role_setting s JOIN pg_database d
                      ON d.oid = s.setdatabase WHERE datname = current_database()
        UNION ALL SELECT concat_ws('|', datdba, datacl, datconnlimit, dattablespace) FROM pg_database
                   WHERE datname = current_database()
        UNION ALL SELECT starelid || 'analysed' FROM pg_statistic WHERE starelid IN (SELECT oid FROM tables)
        UNION ALL SELECT extname FROM pg_extension
        UNION ALL SELECT evtname FROM pg_event_trigger
        UNION ALL SELECT pubname FROM pg_publication
        UNION ALL SELECT concat_ws('|', defaclrole, defaclacl) FROM pg_default_acl
    ) AS parts (part)
"""
_HANG_UP = """
    SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_TABLES = """
    SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
     WHERE nspname IN ('shop', 'payments') AND relkind = 'r' AND relname <> 'alembic_version' ORDER BY c.oid
"""
_SEQUENCES = """
    SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences
     WHERE schemaname IN ('shop', 'payments')
"""
START_THE_PAYMENT_SERVICES_DATABASE = """
import asyncio, payment_mock, sys
from payment_mock.database import Database, migrate
from payment_mock.settings import load_settings

async def start():
    async with Database.open(load_settings()) as database, database.single() as connection:
        await migrate(connection)

asyncio.run(start())
"""
"""What `python -m payment_mock` does first, for a Python of its own."""
_PAGES = 10  # Of a table that was never analysed, fewer make no difference to the planner.
_LIMITS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")


def patient(engine: AsyncEngine) -> AsyncEngine:
    """The engine, its server's limits lifted: where many contend within this process, one that stands still for a
    second and a half would make the others give up. For an engine that has not connected yet."""

    @event.listens_for(engine.sync_engine, "connect")
    def lift(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        for limit in _LIMITS:
            cursor.execute(f"SET {limit} = '60s'")
        cursor.close()
        connection.commit()

    return engine


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def migrate_payments(engine: AsyncEngine) -> None:
    """The payment service's tables: it has no engine, and asks for asyncpg's own connection."""
    async with engine.connect() as connection:
        await migrate_payment_tables((await connection.get_raw_connection()).driver_connection)


class DatabaseServer:
    """`log` reads what the server has written to its log."""

    def __init__(self, url: str, log: Callable[[], str] = str) -> None:
        self._url, self.log = url, log
        self._numbers = itertools.count(1)
        self._known: dict[str, tuple[str, str, str]] = {}  # by template: its shape, what renews a copy, and measures it
        self._free: defaultdict[str, list[str]] = defaultdict(list)

    def url(self, name: str) -> str:
        parts = urlsplit(self._url)
        return urlunsplit((parts.scheme, parts.netloc, f"/{name}", parts.query, ""))

    async def prepare(self) -> None:
        """Make the template that tests copy: copying takes a tenth of migrating."""
        await self._execute(f"CREATE DATABASE {_TEMPLATE}")
        engine = create_engine(self.url(_TEMPLATE), pool_size=1, connect_timeout=10, command_timeout=None)
        try:
            await migrate(engine)
            await seed(engine)
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def fresh(self, template: str = _TEMPLATE) -> AsyncIterator[str]:
        """A shop as the template is, nobody else's: perhaps one that was used before. Takes a fourth of a copy."""
        if template not in self._known:
            async with connected(self.url(template)) as database:
                self._known[template] = (await database.fetchval(_SHAPE), *await _renewal(database))
        free = self._free[template]
        name = free.pop() if free else await self._create(template, "")
        is_as_new = False
        try:
            yield self.url(name)
            is_as_new = await self._renewed(name, *self._known[template])
        finally:
            if is_as_new:
                free.append(name)
            else:
                await self._drop(name)

    async def _renewed(self, name: str, shape: str, renewal: str, size: str) -> bool:
        """Whether it is as it was made, once what the test has written into it is gone."""
        try:
            async with connected(self.url(name)) as database:
                await database.execute(_HANG_UP)
                if await database.fetchval(_SHAPE) != shape:
                    return False
                await database.execute(renewal)
                return bool(await database.fetchval(size) <= _PAGES * 8192)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False

    @asynccontextmanager
    async def copy(self, template: str = _TEMPLATE, options: str = "") -> AsyncIterator[str]:
        name = await self._create(template, options)
        try:
            yield self.url(name)
        finally:
            await self._drop(name)

    async def _create(self, template: str, options: str) -> str:
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        # Its files are copied, not written to the log page by page: a fifth of the CPU.
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy {options}")
        return name

    async def _drop(self, name: str) -> None:
        await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    @asynccontextmanager
    async def empty(self) -> AsyncIterator[str]:
        """A database without any schema, for tests of migrations."""
        async with self.copy("template1") as url:
            yield url

    @asynccontextmanager
    async def latin(self) -> AsyncIterator[str]:
        """An empty database that cannot hold every text."""
        async with self.copy("template0", "ENCODING 'LATIN1' LOCALE 'C'") as url:
            yield url

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


async def _renewal(template: asyncpg.Connection) -> tuple[str, str]:
    """The statements, one transaction, that make the tables of a copy hold what those of the template hold; and what
    asks how large the largest of them is, in bytes: what was deleted still takes room."""
    tables = [name for (name,) in await template.fetch(_TABLES)]
    steps = [
        "BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL session_replication_role = replica",
        # Of a few rows each; to truncate makes every file of a table and its indexes anew, and takes ten times as long.
        *(f"DELETE FROM {table}" for table in tables),
    ]
    for table in tables:
        rows = await template.fetchval(f"SELECT json_agg(t) FROM {table} t")
        if rows is not None:
            quoted = rows.replace("'", "''")
            steps.append(
                f"INSERT INTO {table} OVERRIDING SYSTEM VALUE"
                f" SELECT * FROM json_populate_recordset(NULL::{table}, '{quoted}')"
            )
    for sequence, last in await template.fetch(_SEQUENCES):
        steps.append(f"SELECT setval('{sequence}', {last or 1}, {last is not None})")
    sizes = ", ".join(f"pg_relation_size('{table}')" for table in tables)
    return "; ".join([*steps, "COMMIT"]), f"SELECT greatest({sizes})"
