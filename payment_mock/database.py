"""PostgreSQL: its connections, the wait for a server that is not there yet, and what its errors mean."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy import Row, TextClause, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from payment_mock.migrate import migrate
from payment_mock.settings import Settings

log = logging.getLogger(__name__)

# What a connection does when PostgreSQL is away: refuses, vanishes, or does not answer.
UNREACHABLE = (OSError, TimeoutError, SQLAlchemyError)
# SQLSTATE classes of a server that is away, starting, stopping, full, or short of our database or tables (which the
# first start makes): the same request may succeed later.
_TRANSIENT = ("08", "25006", "28", "3D", "3F", "40", "42P01", "53", "57")
_RETRY_FIRST, _RETRY_CAP = 0.1, 2.0

# A session that was opened while the server was read-only stays so; and these have said goodbye.
_USELESS = ("25006", "57P")
# So many numbers do not fit into so little memory, and go to the disk, should there be room.
_TRY = """
    DO $$ BEGIN
        IF current_setting('transaction_read_only') = 'on' THEN
            RAISE read_only_sql_transaction USING MESSAGE = 'this session may not write';
        END IF;
        PERFORM set_config('work_mem', '64kB', true);
        PERFORM count(*) FROM generate_series(1, 8000);
    END $$
"""


class Database:
    """The engine. Every statement is a transaction of its own, without BEGIN and COMMIT."""

    def __init__(self, settings: Settings) -> None:
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            isolation_level="AUTOCOMMIT",
            pool_size=settings.database_pool_size,
            # A connection beyond the pool's size is opened and closed for one statement, which costs ten times as much.
            max_overflow=0,
            pool_timeout=10,
            # A ping would cost every request a round trip; without it a restarted server costs one request a 503.
            pool_pre_ping=False,
            pool_use_lifo=True,
            hide_parameters=True,
            connect_args={
                "async_creator_fn": partial(_connect, settings.dsn),
                "timeout": 5,
                "command_timeout": 30,
                "server_settings": {"application_name": "payment_mock"},
            },
        )
        event.listen(self._engine.sync_engine, "handle_error", _throw_away)
        self.ready = asyncio.Event()

    def single(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection in autocommit."""
        return self._engine.connect()

    async def run(self, statement: TextClause, **values: Any) -> Sequence[Row[Any]]:
        """One statement, and its rows. Nothing holds a connection between two."""
        async with self.single() as connection:
            result = await connection.execute(statement, values)
            return result.all() if result.returns_rows else ()

    async def check(self) -> None:
        """Raises `DBAPIError` (or what a connection raises that cannot be had) unless PostgreSQL takes writes now."""
        async with self.single() as connection:
            await connection.exec_driver_sql(_TRY)

    async def prepare(self) -> None:
        """Connect and migrate; while PostgreSQL is away, say so and try again, for ever."""
        delay = _RETRY_FIRST
        while not self.ready.is_set():
            try:
                await migrate(self._engine.execution_options(isolation_level="READ COMMITTED"))
                self.ready.set()
            except UNREACHABLE as error:
                log.warning("PostgreSQL is not reachable yet (%s); next try in %.1f s", brief(error), delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, _RETRY_CAP)

    async def close(self) -> None:
        await self._engine.dispose()


async def _connect(dsn: str, **options: Any) -> asyncpg.Connection:
    connection = await asyncpg.connect(dsn, **options)
    await connection.execute("SET jit = off")  # not at the session's start: a pooler would refuse it
    return connection


def _throw_away(context: ExceptionContext) -> None:
    """Of a server that was demoted, or went: with this connection all others of the pool."""
    if str(getattr(context.original_exception, "sqlstate", None)).startswith(_USELESS):
        context.is_disconnect = True


def brief(error: BaseException) -> str:
    """An error in one line, for the log."""
    lines = str(getattr(error, "orig", None) or error).splitlines()
    return lines[0][:200] if lines else type(error).__name__


def is_unreachable(error: BaseException) -> bool:
    """Whether the database could not be asked, as against: refused what it was asked."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _state(error).startswith(_TRANSIENT)
    return isinstance(error, UNREACHABLE)


def is_unfit(error: BaseException) -> bool:
    """Whether PostgreSQL cannot hold a value: a NUL, half of a surrogate pair, a number out of range (class 22)."""
    if not isinstance(error, DBAPIError):
        return False
    return _state(error).startswith("22") or isinstance(getattr(error.orig, "__cause__", None), asyncpg.DataError)


def violates(error: DBAPIError, constraint: str) -> bool:
    return getattr(getattr(error.orig, "__cause__", None), "constraint_name", None) == constraint


def _state(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
