"""Apply the migrations at start, once, whoever comes first: numbered files of SQL, all or none of them. Alembic takes
longer to import than this service may take to start; the table that remembers is as it would make it."""

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

FILES = {file.name[:4]: file for file in sorted((Path(__file__).parent / "migrations" / "versions").glob("*.sql"))}
HEAD = max(FILES)

# A lock of our own in PostgreSQL's one space of advisory locks ("pay", "mig" in ASCII).
_LOCK = text("SELECT pg_advisory_xact_lock(7365985, 7170407)")
_SCHEMA = text("SELECT to_regnamespace('payments') IS NOT NULL")
_TABLE = text("SELECT to_regclass('payments.alembic_version') IS NOT NULL")
_VERSION = text("SELECT version_num FROM payments.alembic_version")


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema to `HEAD`. Concurrent processes wait for each other on an advisory lock."""
    async with engine.begin() as connection:
        if await connection.scalar(_TABLE) and await connection.scalar(_VERSION) == HEAD:
            return
        await connection.execute(_LOCK)
        # Asked first: a role that owns the schema need not be allowed to create one.
        if not await connection.scalar(_SCHEMA):
            await connection.execute(text("CREATE SCHEMA payments"))
        if not await connection.scalar(_TABLE):
            await connection.execute(text("CREATE TABLE payments.alembic_version (version_num varchar(32) NOT NULL)"))
        version = await connection.scalar(_VERSION) or ""
        if version > HEAD:
            raise RuntimeError(f"The database is of version {version}, this service knows {HEAD} at most")
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        for file in (file for number, file in FILES.items() if number > version):
            await driver.execute(file.read_text(encoding="utf-8"))
        await connection.execute(text("DELETE FROM payments.alembic_version"))
        await connection.execute(text("INSERT INTO payments.alembic_version VALUES (:head)"), {"head": HEAD})
