"""PostgreSQL: the pool, the migrations at start, and what its errors mean."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

import asyncpg

from payment_mock.domain.wire import encode
from payment_mock.settings import Settings

FILES = {file.name[:4]: file for file in sorted((Path(__file__).parent / "migrations" / "versions").glob("*.sql"))}
HEAD = max(FILES)

# What a connection does when PostgreSQL is away: refuses, vanishes, or does not answer.
UNREACHABLE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
# SQLSTATE classes of a server that is away, starting, stopping, full, or short of our database or tables (which the
# first start makes): the same request may succeed later.
_TRANSIENT = ("08", "25006", "28", "3D", "3F", "40", "42P01", "53", "57")
# A session that was opened while the server was read-only stays so; and these have said goodbye.
_USELESS = ("25006", "57P")
_FAREWELL = 1.0  # seconds

_SECTION = re.compile(r"^-- (\w+): [^\n]*\n(.*?)(?=^-- \w+: |\Z)", re.MULTILINE | re.DOTALL)
_SECTIONS = dict(_SECTION.findall((Path(__file__).parent / "statements.sql").read_text(encoding="utf-8")))
SQL = {name: statement.replace("{remember}", _SECTIONS["remember"]) for name, statement in _SECTIONS.items()}
_YEAR_2000 = 946_684_800  # PostgreSQL counts from there
_NAME = re.compile(r"(?<!:):([a-z_0-9]+)")
_TABLE = "SELECT to_regclass('payments.alembic_version') IS NOT NULL"
_VERSION = "SELECT version_num FROM payments.alembic_version"


class Database:
    """A pool of connections. Every statement is a transaction of its own, without BEGIN and COMMIT."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """Connects when a connection is needed. At the end nobody waits for a server that does not answer."""
        async with asyncpg.create_pool(
            settings.dsn,
            min_size=0,
            max_size=settings.database_pool_size,
            max_inactive_connection_lifetime=0,
            init=_set_up,
            reset=_leave_as_it_is,
            timeout=5,
            command_timeout=30,
            server_settings={"application_name": "payment_mock"},
        ) as pool:
            try:
                yield cls(pool)
            finally:
                with suppress(TimeoutError):
                    async with asyncio.timeout(2):
                        await pool.close()

    @asynccontextmanager
    async def single(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection in autocommit. A statement that is given up is cancelled at the server, where it would go on; a
        server that is silent is waited for no longer than `_FAREWELL`."""
        try:
            connection = await self._pool.acquire(timeout=10)
            try:
                yield connection
            except asyncpg.InternalClientError:  # the server has said goodbye, and the connection is not closed yet
                connection.terminate()
                raise
            finally:
                with suppress(TimeoutError):
                    await self._pool.release(connection, timeout=_FAREWELL)
        except asyncpg.PostgresError as error:
            if _state(error).startswith(_USELESS):  # of a server that was demoted, or went: all others are as useless
                await self._pool.expire_connections()
            raise

    async def run(self, statement: str, **values: Any) -> list[asyncpg.Record]:
        """One statement with `:names`, and its rows. Nothing holds a connection between two."""
        numbered, names = _numbered(statement)
        async with self.single() as connection:
            return list(await connection.fetch(numbered, *(values[name] for name in names)))

    async def check(self) -> None:
        """Raises what a connection raises that cannot be had, and `PostgresError` unless writes are taken now."""
        await self.run(SQL["can_write"])


@cache
def _numbered(statement: str) -> tuple[str, list[str]]:
    """The statement as asyncpg has it, with `$1` for the first of the names."""
    names = list(dict.fromkeys(_NAME.findall(statement)))
    return _NAME.sub(lambda found: f"${names.index(found[1]) + 1}", statement), names


async def _set_up(connection: asyncpg.Connection) -> None:
    """Documents are what they say, and times are unix seconds, as Stripe tells them."""
    await connection.execute("SET jit = off")  # not at the session's start: a pooler would refuse it
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, schema="pg_catalog", encoder=encode, decoder=json.loads)
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        encoder=lambda seconds: ((seconds - _YEAR_2000) * 1_000_000,),
        decoder=lambda since_2000: since_2000[0] // 1_000_000 + _YEAR_2000,
        format="tuple",
    )


async def _leave_as_it_is(_: asyncpg.Connection) -> None:
    """Of what asyncpg would reset nothing is ever changed; it would cost each statement a round trip."""


async def migrate(connection: asyncpg.Connection) -> None:
    """Apply the migrations that are missing, all or none: numbered files of SQL. Of those who come at once one does.

    Alembic takes longer to import than this service may take to start; the table that remembers is as it would make it.
    """
    if await connection.fetchval(_TABLE) and await connection.fetchval(_VERSION) == HEAD:
        return
    async with connection.transaction(isolation="read_committed"):
        # A lock of our own in PostgreSQL's one space of advisory locks ("pay", "mig" in ASCII).
        await connection.execute("SELECT pg_advisory_xact_lock(7365985, 7170407)")
        # Asked first: a role that owns the schema need not be allowed to create one.
        if not await connection.fetchval("SELECT to_regnamespace('payments') IS NOT NULL"):
            await connection.execute("CREATE SCHEMA payments")
        if not await connection.fetchval(_TABLE):
            await connection.execute("CREATE TABLE payments.alembic_version (version_num varchar(32) NOT NULL)")
        version = await connection.fetchval(_VERSION) or ""
        if version > HEAD:
            raise RuntimeError(f"The database is of version {version}, this service knows {HEAD} at most")
        for file in (file for number, file in FILES.items() if number > version):
            await connection.execute(file.read_text(encoding="utf-8"))
        await connection.execute("DELETE FROM payments.alembic_version")
        await connection.execute("INSERT INTO payments.alembic_version VALUES ($1)", HEAD)


def brief(error: BaseException) -> str:
    """An error in one line, for the log."""
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__


def is_unreachable(error: BaseException) -> bool:
    """Whether the database could not be asked, as against: refused what it was asked."""
    if isinstance(error, asyncpg.PostgresError):
        return _state(error).startswith(_TRANSIENT)
    return isinstance(error, UNREACHABLE)


def is_unfit(error: BaseException) -> bool:
    """Whether PostgreSQL cannot hold a value: a NUL, half of a surrogate pair, a number out of range (class 22)."""
    return isinstance(error, asyncpg.PostgresError) and _state(error).startswith("22")


def _state(error: asyncpg.PostgresError) -> str:
    return str(error.sqlstate or "")
