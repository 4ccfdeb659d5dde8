"""A database is brought up to date whatever it holds, or left as it is with a sentence that says what to do."""

import asyncio
import sys
from pathlib import Path

from sqlalchemy import text

from db import migrations
from db.engine import create_engine
from db.setup import migrate, schema_versions
from tests.support.databases import DatabaseServer
from tests.support.orders import open_order, scalar, violations


async def test_a_schema_that_this_version_does_not_know_is_left_alone_and_its_owner_told_what_to_do(
    database_server: DatabaseServer,
) -> None:
    """Of a newer version, or of one before the first release, whose steps are no more."""
    async with database_server.copy() as url:
        engine = create_engine(url, connect_timeout=10, command_timeout=None)
        await open_order(engine, "kept")
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE shop.alembic_version SET version_num = '0012'"))
        code, said = await _set_up(url)
        assert code == 2
        assert "Traceback" not in said
        assert "'0012'" in said
        assert "`checkout reset`" in said
        assert await scalar(engine, "SELECT version_num FROM shop.alembic_version") == "0012"
        assert await scalar(engine, "SELECT checkout_key FROM shop.orders") == "kept"
        await engine.dispose()


async def test_set_up_again_changes_nothing(database_server: DatabaseServer) -> None:
    async with database_server.copy() as url:
        engine = create_engine(url, connect_timeout=10, command_timeout=None)
        await open_order(engine, "kept")
        async with engine.connect() as connection:
            has, wants = await schema_versions(connection)
        assert has == wants
        await migrate(engine)
        assert (await _set_up(url))[0] == 0
        assert await scalar(engine, "SELECT checkout_key FROM shop.orders") == "kept"
        assert await violations(engine) == []
        await engine.dispose()


def test_the_sql_of_the_schema_is_ascii() -> None:
    """As a server takes it, whatever encoding its clients speak."""
    scripts = sorted((Path(migrations.__file__).parent / "versions").glob("*.sql"))
    assert [script.name for script in scripts if not script.read_bytes().isascii()] == []
    assert scripts


async def _set_up(url: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "db", "setup",
        env={"DATABASE_URL": url, "PATH": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = (await process.communicate())[0].decode()
    return process.returncode, said
