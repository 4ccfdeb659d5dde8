"""Sessions of PostgreSQL and the pool that keeps them, with a time limit on everything that can hang.

The limits form a ladder (ARCHITECTURE.md), so that a frozen process gives its row locks back before anybody's patience
ends. A session's own are set by a statement, not as parameters of its start: a pooler in between refuses those, or
takes them and does nothing. What is assumed is then read back, and refused in a sentence when it does not hold.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import AdaptedConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from checkout.errors import SettingsError, UnstorableData
from runtime.failpoints import Boundary, Step, failpoint

# Seconds.
LOCK_TIMEOUT = 1.5
STATEMENT_TIMEOUT = 2.5
IDLE_IN_TRANSACTION_TIMEOUT = 2.5
COMMAND_TIMEOUT = 3.0
CONNECT_TIMEOUT = 2.0
POOL_TIMEOUT = 2.0
_KEEPALIVE_IDLE = 5

_LIMITS = {
    "lock_timeout": LOCK_TIMEOUT,
    "statement_timeout": STATEMENT_TIMEOUT,
    "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT,
}
_SET = "; ".join(
    [f"SET {name} = '{seconds * 1000:.0f}ms'" for name, seconds in _LIMITS.items()]
    + [f"SET tcp_keepalives_idle = {_KEEPALIVE_IDLE}", "SET timezone = 'UTC'"]
)
_READ = "SELECT " + ", ".join(f"current_setting('{name}')::interval = '{s}s'" for name, s in _LIMITS.items())
_ROUNDS = 3

_NOT_HELD = (
    "DATABASE_URL: the limit {} that this process set does not hold. Something between it and PostgreSQL (a pooler?)"
    " does not pass it on: let it, or name PostgreSQL itself."
)
_NOT_ONE = (
    "DATABASE_URL leads to a pooler that hands a session to another client after each transaction (PgBouncer's"
    " pool_mode=transaction). Timeouts and LISTEN need a session: set pool_mode=session, or name PostgreSQL itself."
)
# What a statement prepared in one server session, and used in another, comes to.
_STRANGERS = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)
# SQLSTATEs after which a session is of no use any more, though it may still answer: of a server that is read-only (a
# standby, or demoted), or that has said goodbye.
_USELESS = {"25006", "57P01", "57P02", "57P03", "57P04", "57P05"}
# A character that the database's encoding lacks, a NUL, half a surrogate pair, a number out of range.
_DATA_EXCEPTION = "22"


async def open_session(database_url: str, **options: Any) -> asyncpg.Connection:
    """`asyncpg.connect`, and the limits. Raises `SettingsError` when they do not hold, else what asyncpg raises."""
    connection = await asyncpg.connect(database_url, **options)
    try:
        await connection.execute(_SET)
        for name, holds in zip(_LIMITS, await connection.fetchrow(_READ), strict=True):
            if not holds:
                raise SettingsError(_NOT_HELD.format(name))
    except BaseException as error:
        connection.terminate()
        if isinstance(error, _STRANGERS):
            raise SettingsError(_NOT_ONE) from error
        raise
    return connection


async def check_sessions(database_url: str) -> None:
    """Raises `SettingsError` when two clients of `database_url` share a session, or one is moved between several.

    Passes when the database is out of reach: a process may start before it.
    """
    processes: dict[asyncpg.Connection, set[int]] = {}
    try:
        for _ in range(2):
            # Without prepared statements, at which newer poolers look: what counts is which session answers.
            session = await open_session(database_url, timeout=2, command_timeout=2, statement_cache_size=0)
            processes[session] = set()
        for session in [*processes] * _ROUNDS:
            processes[session].add(await session.fetchval("SELECT pg_backend_pid()"))
    except _STRANGERS as error:
        raise SettingsError(_NOT_ONE) from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return
    finally:
        for session in processes:
            session.terminate()
    first, second = processes.values()
    if len(first) > 1 or first & second:
        raise SettingsError(_NOT_ONE)


def create_engine(
    database_url: str,
    *,
    pool_size: int = 8,
    application_name: str = "checkout",
    pre_ping: bool = True,
    pool_timeout: float = POOL_TIMEOUT,
    connect_timeout: float = CONNECT_TIMEOUT,
    command_timeout: float | None = COMMAND_TIMEOUT,
) -> AsyncEngine:
    """An engine on asyncpg, which reads `postgresql://…?sslmode=…&sslrootcert=…` as every PostgreSQL tool does.

    `pre_ping` asks a pooled connection for life before it is used: for those who cannot simply try again.
    All in seconds: `pool_timeout` is how long one waits for a connection when all are in use, `connect_timeout` for a
    new one, and `command_timeout` for an answer, whatever the server's own limit is: who lifts that one lifts both.
    """
    engine = create_async_engine(
        "postgresql+asyncpg://",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout,
        hide_parameters=True,  # an error's text goes into logs and histories, and what was asked for names people
        connect_args={
            "async_creator_fn": partial(open_session, database_url),
            "timeout": connect_timeout,
            "command_timeout": command_timeout,
            "server_settings": {"application_name": application_name},
        },
    )
    if pre_ping:
        event.listen(engine.sync_engine, "checkout", _ask_for_life)
    event.listen(engine.sync_engine, "handle_error", _throw_away)
    event.listen(engine.sync_engine, "invalidate", _hang_up)
    return engine


@asynccontextmanager
async def brief_engine(database_url: str, **options: Any) -> AsyncIterator[AsyncEngine]:
    """`create_engine` for one errand: it is closed at the end of the block."""
    engine = create_engine(database_url, **options)
    try:
        yield engine
    finally:
        await engine.dispose()


def _ask_for_life(connection: AdaptedConnection, *_: object) -> None:
    """One round trip. SQLAlchemy's own `pool_pre_ping` opens a transaction around the question, which takes three, for
    poolers that `check_sessions` refuses anyway."""
    try:
        connection.run_async(lambda driver: driver.fetchrow(";"))
    except Exception as error:
        raise InvalidatePoolError from error


def _throw_away(context: ExceptionContext) -> None:
    """A failover leaves sessions behind that answer every `SELECT 1`, and refuse to write for as long as they live. The
    first that says so takes all of the pool along."""
    if sqlstate(context.original_exception) in _USELESS:
        context.is_disconnect = True


def _hang_up(connection: AdaptedConnection, *_: object) -> None:
    """At once: SQLAlchemy would say goodbye first, and wait two seconds more for whoever has just not answered."""
    connection.driver_connection.terminate()


def sqlstate(error: BaseException | None) -> str:
    """PostgreSQL's five characters, or "" where it has said nothing. Of SQLAlchemy's errors and of the driver's."""
    return str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")


@asynccontextmanager
async def transaction(engine: AsyncEngine, step: Step) -> AsyncIterator[AsyncConnection]:
    """One transaction, committed at the end of the block, with the failpoints of the step around its COMMIT.

    Raises `UnstorableData` for what PostgreSQL will never take, however often it is asked: without a cause, whose
    message may quote the data.
    """
    await failpoint(step, Boundary.BEFORE)
    try:
        async with engine.begin() as connection:
            yield connection
            await failpoint(step, Boundary.BEFORE_COMMIT)
    except DBAPIError as error:
        state = sqlstate(error)
        if not state.startswith(_DATA_EXCEPTION):
            raise
        raise UnstorableData(f"PostgreSQL cannot store what it was given (SQLSTATE {state})") from None
    await failpoint(step, Boundary.AFTER)


def autocommit(engine: AsyncEngine) -> AsyncEngine:
    """The same pool for single statements, each a transaction of its own: one round trip instead of three."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")
