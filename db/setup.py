"""Bring a database up to date: migrations and, for a new shop, a catalogue; by several processes at once, and again and
again."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from checkout.errors import SettingsError
from db.scripts import script

_MIGRATION_LOCK = 0x5EED_C0DE


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's, for the steps of `db.migrations`, to be run on the connection."""
    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))  # it interpolates, as an .ini file does
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    try:
        command.upgrade(alembic_config(connection), "head")
    except CommandError as error:  # what Alembic cannot find its way from; what a migration itself trips over is none
        raise SettingsError(
            f"DATABASE_URL: the schema in this database is not one that this version can bring up to date ({error}). "
            "Either a newer version has been here: run that one. Or it is of before the first release: a development "
            "stack starts anew after `checkout reset`, another database after DROP SCHEMA shop CASCADE, which deletes "
            "its orders"
        ) from None


async def migrate(engine: AsyncEngine) -> None:
    """Upgrade to the newest schema. A migration may take long: the server's limits are lifted, and `engine` had
    better have no `command_timeout`. Raises `SettingsError` for a database that cannot hold every text, or whose
    schema this code does not know."""
    async with engine.begin() as connection:
        await refuse_other_encodings(connection)
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        await connection.execute(text("CREATE SCHEMA IF NOT EXISTS shop"))
        await connection.run_sync(_upgrade)


async def refuse_other_encodings(connection: AsyncConnection) -> None:
    """Refuse a database whose encoding lacks characters: once customers have used it, that could not be changed."""
    database, encoding = (
        await connection.execute(text("SELECT current_database(), current_setting('server_encoding')"))
    ).one()
    if encoding != "UTF8":
        raise SettingsError(
            f"DATABASE_URL: the database {database!r} is encoded in {encoding} and cannot hold every text. "
            "Make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


async def schema_versions(connection: AsyncConnection) -> tuple[str | None, str | None]:
    """What the database has, None for nothing, and what this code wants."""
    wanted = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if await connection.scalar(text("SELECT to_regclass('shop.alembic_version')")) is None:
        return None, wanted
    return await connection.scalar(text("SELECT version_num FROM shop.alembic_version")), wanted


async def seed(engine: AsyncEngine) -> int:
    """Add the products of `catalogue.sql` that are missing. Returns how many were added."""
    async with engine.begin() as connection:
        return int((await connection.exec_driver_sql(script("catalogue.sql"))).scalar_one())
