"""What a session of PostgreSQL must be for us, and what a pooler in between makes of it."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from checkout.errors import SettingsError
from db.engine import check_sessions, create_engine
from payment_mock.database import Database
from payment_mock.settings import load_settings
from tests.support.pooler import Pooler

LIMITS = {"lock_timeout": "1500ms", "statement_timeout": "2500ms", "idle_in_transaction_session_timeout": "2500ms"}


async def test_the_limits_hold_behind_a_pooler_that_keeps_sessions(database_url: str) -> None:
    async with Pooler(database_url) as pooler:
        await check_sessions(pooler.url)
        engine = create_engine(pooler.url, pool_size=1)
        async with engine.connect() as connection:
            shown = {name: (await connection.execute(text(f"SHOW {name}"))).scalar() for name in LIMITS}
        await engine.dispose()
    assert shown == LIMITS | {"lock_timeout": "1500ms"}


async def test_the_payment_service_works_behind_a_pooler_that_keeps_sessions(database_url: str) -> None:
    async with Pooler(database_url) as pooler, Database.open(load_settings(DATABASE_URL=pooler.url)) as database:
        await database.check()


async def test_limits_that_do_not_hold_are_refused_by_name(database_url: str) -> None:
    async with Pooler(database_url, deaf=True) as pooler:
        engine = create_engine(pooler.url, pool_size=1)
        with pytest.raises(SettingsError, match=r"DATABASE_URL.*lock_timeout.*does not hold"):
            async with engine.connect():
                pass
        await engine.dispose()


async def test_a_pooler_of_transactions_is_refused(database_url: str) -> None:
    async with Pooler(database_url, mode="transaction") as pooler:
        with pytest.raises(SettingsError, match="set pool_mode=session"):
            await check_sessions(pooler.url)


async def test_without_any_database_there_is_nothing_to_refuse() -> None:
    await check_sessions("postgresql://nobody@127.0.0.1:1/nothing")


@pytest.mark.parametrize("command", [("api",), ("worker",), ("db", "setup")], ids=lambda command: command[0])
async def test_each_process_ends_at_once_with_that_sentence(
    database_url: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    async with Pooler(database_url, mode="transaction") as pooler:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *command,
            env={**os.environ, "DATABASE_URL": pooler.url}, cwd=tmp_path, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, told = await process.communicate()
    assert process.returncode == 2
    assert "set pool_mode=session" in told.decode()
    assert "Traceback" not in told.decode()
