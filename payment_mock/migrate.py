"""Apply the migrations at start, once, whoever comes first.

Alembic takes longer to import than the service may take to start, so a database that is already at `HEAD` is
recognised without it; a test keeps `HEAD` equal to Alembic's.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

HEAD = "0002"
MIGRATIONS = Path(__file__).parent / "migrations"

# A lock of our own in PostgreSQL's one space of advisory locks ("pay", "mig" in ASCII).
_LOCK = text("SELECT pg_advisory_xact_lock(7365985, 7170407)")
_TABLE = text("SELECT to_regclass('payments.alembic_version') IS NOT NULL")
_VERSION = text("SELECT version_num FROM payments.alembic_version")


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema to `HEAD`. Concurrent processes wait for each other on an advisory lock."""
    async with engine.begin() as connection:
        if await connection.scalar(_TABLE) and await connection.scalar(_VERSION) == HEAD:
            return
        await connection.execute(_LOCK)
        # Asked first: a role that owns the schema need not be allowed to create one.
        if not await connection.scalar(text("SELECT to_regnamespace('payments') IS NOT NULL")):
            await connection.execute(text("CREATE SCHEMA payments"))
        await connection.run_sync(_upgrade)


def alembic_config(connection: Connection | None = None) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))  # it interpolates, as .ini files do
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    from alembic import command

    command.upgrade(alembic_config(connection), "head")
