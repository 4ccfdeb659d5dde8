"""A session of PostgreSQL that can do its work: the limits it must have hold, and it stays one session.

The limits are set by a statement of the session itself, not as parameters of its start: a pooler in between refuses
those, or takes them and does nothing. What is assumed is then read back, and refused in a sentence when it does not
hold.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from checkout.errors import SettingsError

LOCK_TIMEOUT = 1.5
STATEMENT_TIMEOUT = 2.5
IDLE_IN_TRANSACTION_TIMEOUT = 2.5
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


async def open_session(dsn: str, **options: Any) -> asyncpg.Connection:
    """`asyncpg.connect`, and the limits. Raises `SettingsError` when they do not hold, else what asyncpg raises."""
    connection = await asyncpg.connect(dsn, **options)
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

    Silent while nobody answers there: a process may start before its database.
    """
    dsn = plain(database_url)
    processes: tuple[set[int], set[int]] = set(), set()
    try:
        async with _brief(dsn) as first, _brief(dsn) as second:
            for _ in range(_ROUNDS):
                for connection, seen in zip((first, second), processes, strict=True):
                    seen.add(await connection.fetchval("SELECT pg_backend_pid()"))
    except _STRANGERS as error:
        raise SettingsError(_NOT_ONE) from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return
    if len(processes[0]) > 1 or processes[0] & processes[1]:
        raise SettingsError(_NOT_ONE)


@asynccontextmanager
async def _brief(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    # Without prepared statements, at which newer poolers look: what counts is which session answers.
    connection = await open_session(dsn, timeout=2, command_timeout=2, statement_cache_size=0)
    try:
        yield connection
    finally:
        connection.terminate()


def plain(database_url: str) -> str:
    """As asyncpg reads it."""
    return database_url.replace("postgresql+asyncpg://", "postgresql://", 1)
