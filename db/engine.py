"""The connection pool, with a time limit on everything that can hang.

The limits form a ladder, each below the next: waiting for a lock, a statement, an idle transaction (`db.session`), the
client's own limit on an answer (for a network that swallows packets), and above them all the activity's timeout
(`worker.policies`). A frozen process therefore gives its row locks back before anybody's patience ends.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from sqlalchemy import event
from sqlalchemy.engine import AdaptedConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from checkout.errors import UnstorableData
from db.session import open_session, plain
from runtime.failpoints import Boundary, Step, failpoint

COMMAND_TIMEOUT = 3.0
CONNECT_TIMEOUT = 2.0
POOL_TIMEOUT = 2.0
# SQLSTATEs after which a session is of no use any more, though it may still answer: of a server that is read-only (a
# standby, or demoted), or that has said goodbye.
_USELESS = {"25006", "57P01", "57P02", "57P03", "57P04", "57P05"}
# A character that the database's encoding lacks, a NUL, half a surrogate pair, a number out of range.
_DATA_EXCEPTION = "22"


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
            "async_creator_fn": partial(open_session, plain(database_url)),
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


def _ask_for_life(connection: AdaptedConnection, *_: object) -> None:
    """One round trip. SQLAlchemy's own `pool_pre_ping` opens a transaction around the question, which takes three, for
    poolers that `db.session` refuses anyway."""
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
