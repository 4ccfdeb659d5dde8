"""Whose turn it is to audit: one piece of work at a time in all of the shop, however many gateways there are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

# Advisory locks of transactions, which poolers of transactions keep as well.
_A_PIECE, _THE_WHOLE = 0x5EED_A0D1, 0x5EED_A0D2


@asynccontextmanager
async def snapshot(engine: AsyncEngine, patience: float) -> AsyncIterator[AsyncConnection]:
    """A transaction that only reads and in which all statements see one moment, `patience` seconds each. Nobody else
    audits anything meanwhile."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        async with connection.begin():
            await connection.execute(text("SET TRANSACTION READ ONLY"))
            for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                await connection.execute(text(f"SET LOCAL {limit} = '{patience:.0f}s'"))
            # A piece is found by indexes, whatever the planner believes of its size.
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
            await connection.execute(text("SET LOCAL jit = off"))
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_A_PIECE})"))
            yield connection


@asynccontextmanager
async def the_whole(engine: AsyncEngine) -> AsyncIterator[bool]:
    """Whether everything may be audited in the block: nobody else does. Holds a connection, and no snapshot."""
    async with engine.connect() as connection, connection.begin():
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield bool(await connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({_THE_WHOLE})")))
