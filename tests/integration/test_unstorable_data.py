"""Data that PostgreSQL cannot hold is refused for good, and set-up refuses a database that cannot hold every text."""

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

import db.setup
from checkout.contracts import OpenOrderInput
from checkout.errors import SettingsError, UnstorableData
from checkout.orders import CartLine
from db.engine import create_engine, transaction
from db.setup import migrate
from runtime.failpoints import Step
from stack.stack import Stack
from tests.support.databases import DatabaseServer
from tests.support.orders import scalar
from tests.support.provider import FakeProvider
from tests.support.rig import assembled
from worker.activities.checkouts import CheckoutActivities


@pytest.fixture
async def latin(database_server: DatabaseServer) -> AsyncIterator[AsyncEngine]:
    """A database that somebody made with `ENCODING 'LATIN1'`."""
    async with database_server.latin() as url:
        engine = create_engine(url, connect_timeout=10, command_timeout=None)
        yield engine
        await engine.dispose()


@pytest.mark.parametrize("email", ["a\0b@example.com", "\ud800@example.com"])
async def test_text_that_is_none_is_a_final_error_which_does_not_repeat_it(engine: AsyncEngine, email: str) -> None:
    now = datetime.now(UTC)
    wish = OpenOrderInput("k", [CartLine("pen", 1)], "f" * 64, now, now + timedelta(minutes=15), email)
    with pytest.raises(UnstorableData) as refusal:
        await CheckoutActivities(engine, FakeProvider(), dispatch_duration=1).open_order(wish)
    assert "example.com" not in str(refusal.value)
    assert refusal.value.__cause__ is None  # its message quotes the data, and a cause goes into the history
    assert await scalar(engine, "SELECT count(*) FROM shop.orders") == 0


async def test_what_a_guard_refuses_is_no_matter_of_data(engine: AsyncEngine) -> None:
    with pytest.raises(IntegrityError):
        async with transaction(engine, Step.CHANGE_STOCK) as connection:
            await connection.execute(text("UPDATE shop.products SET on_hand = -1"))


async def test_set_up_refuses_a_database_that_cannot_hold_every_text(latin: AsyncEngine) -> None:
    with pytest.raises(SettingsError, match=r"DATABASE_URL.*LATIN1.*ENCODING 'UTF8'"):
        await migrate(latin)
    async with latin.connect() as connection:
        assert (await connection.execute(text("SELECT to_regnamespace('shop')"))).scalar() is None


async def test_it_says_so_in_one_sentence(database_server: DatabaseServer) -> None:
    async with database_server.latin() as url:
        ran = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "db", "setup",
            env={"DATABASE_URL": url, "PATH": ""},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await ran.communicate())[0].decode()
    assert ran.returncode == 2
    assert "Traceback" not in said
    assert "LATIN1" in said


async def test_a_buyer_whose_name_cannot_be_stored_is_told_so_and_the_checkout_ends(
    database_server: DatabaseServer, temporal_server: Stack
) -> None:
    """In a database from before set-up looked: the names of half the world do not fit."""
    async with database_server.latin() as url:
        engine = create_engine(url, connect_timeout=10, command_timeout=None)
        async with engine.begin() as connection:
            await connection.execute(text("CREATE SCHEMA shop"))
            await connection.run_sync(db.setup._upgrade)
        await db.setup.seed(engine)
        async with assembled(url, engine, temporal_server) as rig:
            key, began = secrets.token_hex(8), time.monotonic()
            answers = [await rig.press(key, email="иван@example.com") for _ in range(2)]
            assert time.monotonic() - began < rig.settings.session_wait
            assert [answer.status_code for answer in answers] == [422, 422]
            assert [error["field"] for error in answers[0].json()["errors"]] == ["email"]
            assert (await rig.buy(key, email="ivan@example.com")).status_code == 200
        await engine.dispose()
