"""Whether PostgreSQL takes writes now. One that answers `SELECT 1` may be a standby, or have a full disk."""

import asyncio
import contextlib
import logging
import time
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolBusy
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.errors import WritesRefused
from db.engine import autocommit, sqlstate

logger = logging.getLogger("db")

INTERVAL = 2.0  # seconds between two looks
REMEMBERED = 10.0

_READ_ONLY = "25006"
_REFUSALS = {
    _READ_ONLY: "PostgreSQL takes no writes: it is read-only, or a standby",
    "53000": "PostgreSQL takes no writes: it is short of something",
    "53100": "PostgreSQL takes no writes: its disk is full",
    "53200": "PostgreSQL takes no writes: it is out of memory",
}
# A session that was opened while the server was read-only stays so: the error throws it away (`db.engine`). 8,000
# numbers exceed 64 kB, so a temporary file is written, which is what a full disk refuses first. It takes no right,
# touches no table and leaves nothing behind.
_TRY = """
    DO $$ BEGIN
        IF current_setting('transaction_read_only') = 'on' THEN
            RAISE read_only_sql_transaction USING MESSAGE = 'this session may not write';
        END IF;
        PERFORM set_config('work_mem', '64kB', true);
        PERFORM count(*) FROM generate_series(1, 8000);
    END $$
"""


async def is_read_only(driver: Any) -> bool:
    """Whether the server of this session takes no writes: it is a standby, or was demoted. `driver` is asyncpg's
    connection, for a session that belongs to no pool."""
    return bool(await driver.fetchval("SHOW transaction_read_only") == "on")


class WriteWatch:
    """`watch` looks every `INTERVAL` seconds. `refusal` says in a sentence why no write can succeed, as far as is
    known; `trouble` is the same, or that PostgreSQL does not answer.

    A write that somebody else failed to make counts for `remembered` seconds, whatever a look says meanwhile: there may
    be room for a temporary file and none for a table.
    """

    def __init__(self, engine: AsyncEngine, remembered: float = REMEMBERED) -> None:
        self._engine, self._remembered = autocommit(engine), remembered
        self._failed_at = -remembered
        self.refusal: str | None = None
        self.trouble: str | None = None
        event.listen(engine.sync_engine, "handle_error", self._hear)

    async def look(self) -> None:
        """Try to write now. Raises `WritesRefused`, or what SQLAlchemy and the driver raise when there is no answer."""
        try:
            try:
                await self._try()
            except DBAPIError as error:
                if sqlstate(error) != _READ_ONLY:
                    raise
                await self._try()  # the session was, and is thrown away with all of its pool: the server may be well
        except PoolBusy:
            raise  # that is a crowd of customers, and no trouble of PostgreSQL's
        except Exception as error:
            if sqlstate(error) not in _REFUSALS:
                self.trouble = f"PostgreSQL does not answer: {type(getattr(error, 'orig', error)).__name__}"
                raise
            self._refuse(_REFUSALS[sqlstate(error)])
            self._failed_at = -self._remembered  # who sees this much will see its end as well
        else:
            if time.monotonic() - self._failed_at >= self._remembered:
                if self.refusal is not None:
                    logger.info("PostgreSQL takes writes again")
                self.refusal = self.trouble = None
        self.check()

    async def _try(self) -> None:
        async with self._engine.connect() as connection:
            await connection.exec_driver_sql(_TRY)

    def check(self) -> None:
        """Raises `WritesRefused` for what is known already, without another look."""
        if self.refusal is not None:
            raise WritesRefused(self.refusal)

    async def watch(self) -> None:
        while True:
            with contextlib.suppress(Exception):  # it is in `trouble`, for whoever asks
                await self.look()
            await asyncio.sleep(INTERVAL)

    def _hear(self, context: ExceptionContext) -> None:
        """Of each statement that fails, whoever asked for it. One that fails because its session is read-only says
        nothing about the next session."""
        state = sqlstate(context.original_exception)
        if state in _REFUSALS and state != _READ_ONLY:
            self._refuse(_REFUSALS[state])
            self._failed_at = time.monotonic()

    def _refuse(self, sentence: str) -> None:
        if sentence != self.refusal:
            logger.error("%s; needs attention", sentence)
        self.refusal = self.trouble = sentence
