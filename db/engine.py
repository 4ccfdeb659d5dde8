"""The connection pool, with a time limit on everything that can hang.

The limits form a ladder, each below the next: waiting for a lock, a statement, an idle transaction, the client's
own limit on an answer (for a network that swallows packets), and above them all the activity's timeout
(`worker.policies`). A frozen process therefore gives its row locks back before anybody's patience ends.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from checkout.errors import SettingsError
from checkout.failpoints import Boundary, Step, failpoint

LOCK_TIMEOUT = 1.5
STATEMENT_TIMEOUT = 2.5
IDLE_IN_TRANSACTION_TIMEOUT = 2.5
COMMAND_TIMEOUT = 3.0
CONNECT_TIMEOUT = 2.0
POOL_TIMEOUT = 2.0
KEEPALIVE_IDLE = 5

# libpq's sslmode, as asyncpg wants to be told: https://www.postgresql.org/docs/current/libpq-ssl.html
_SSL_MODES = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})


@dataclass(frozen=True)
class _Address:
    url: str
    ssl: str | ssl.SSLContext | None


def _parse(database_url: str) -> _Address:
    parts = urlsplit(database_url)
    query = dict(parse_qsl(parts.query))
    mode = query.pop("sslmode", None)
    root_certificate = query.pop("sslrootcert", None)
    if mode is not None and mode not in _SSL_MODES:
        raise SettingsError(f"DATABASE_URL: sslmode must be one of {', '.join(sorted(_SSL_MODES))}")
    context: str | ssl.SSLContext | None = mode
    if root_certificate and mode in {"verify-ca", "verify-full"}:
        context = ssl.create_default_context(cafile=root_certificate)
        context.check_hostname = mode == "verify-full"
    url = urlunsplit(("postgresql+asyncpg", parts.netloc, parts.path, urlencode(query), ""))
    return _Address(url, context)


def create_engine(
    database_url: str, *, pool_size: int = 8, application_name: str = "checkout", pre_ping: bool = True
) -> AsyncEngine:
    """An engine on asyncpg. Accepts `postgresql://…?sslmode=…` as every other PostgreSQL tool does.

    `pre_ping` asks a pooled connection for life before it is used: a round trip, for those who cannot try again.
    """
    address = _parse(database_url)
    connect_args: dict[str, object] = {
        "timeout": CONNECT_TIMEOUT,
        "command_timeout": COMMAND_TIMEOUT,
        "server_settings": {
            "application_name": application_name,
            "lock_timeout": _milliseconds(LOCK_TIMEOUT),
            "statement_timeout": _milliseconds(STATEMENT_TIMEOUT),
            "idle_in_transaction_session_timeout": _milliseconds(IDLE_IN_TRANSACTION_TIMEOUT),
            "tcp_keepalives_idle": str(KEEPALIVE_IDLE),
            "timezone": "UTC",
        },
    }
    if address.ssl is not None:
        connect_args["ssl"] = address.ssl
    return create_async_engine(
        address.url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT,
        pool_pre_ping=pre_ping,
        connect_args=connect_args,
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine, step: Step) -> AsyncIterator[AsyncConnection]:
    """One transaction, committed at the end of the block, with the failpoints of the step around its COMMIT."""
    await failpoint(step, Boundary.BEFORE)
    async with engine.begin() as connection:
        yield connection
        await failpoint(step, Boundary.BEFORE_COMMIT)
    await failpoint(step, Boundary.AFTER)


def autocommit(engine: AsyncEngine) -> AsyncEngine:
    """The same pool for single statements, each a transaction of its own: one round trip instead of three."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
