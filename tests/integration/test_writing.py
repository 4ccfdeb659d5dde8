"""A PostgreSQL that answers and can store nothing: its disk is full, or it is read-only."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from checkout.errors import WritesRefused
from checkout.orders import CartLine, OrderStatus
from db.engine import create_engine
from db.writing import WriteWatch
from payment_mock.database import Database
from payment_mock.settings import load_settings
from stack.stack import Stack
from tests.support.databases import DatabaseServer, connected
from tests.support.disks import small_disk
from tests.support.eventually import eventually
from tests.support.orders import on_hand, open_order
from tests.support.rig import Rig, assembled

NO_ROOM = """
    CREATE FUNCTION shop.no_room() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device'; END $$;
    CREATE TRIGGER no_room BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.no_room();
"""


@pytest.fixture
async def cramped(
    database_server: DatabaseServer, scratch: Path, temporal_server: Stack
) -> AsyncIterator[tuple[Rig, Path]]:
    """A shop whose tables lie on a small disk."""
    disk = scratch / "small-disk"
    async with connected(database_server.url("postgres")) as owner:
        with small_disk(disk, like=Path(await owner.fetchval("SHOW data_directory"))):
            tables = disk / "tables"
            tables.mkdir()
            os.chown(tables, disk.stat().st_uid, disk.stat().st_gid)
            await owner.execute(f"CREATE TABLESPACE small LOCATION '{tables}'")
            async with database_server.copy(options="TABLESPACE small") as url:
                engine = create_engine(url, pool_timeout=60, connect_timeout=10)
                async with assembled(url, engine, temporal_server) as rig:
                    yield rig, disk
                await engine.dispose()
            await owner.execute("DROP TABLESPACE small")


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(8192))
    assert shutil.disk_usage(disk).free == 0
    return ballast


async def test_with_the_disk_full_nobody_can_buy_and_nothing_is_held_and_afterwards_all_goes_on(
    cramped: tuple[Rig, Path],
) -> None:
    rig, disk = cramped
    left = await on_hand(rig.engine, "pen")
    ballast = fill(disk)

    # In the very first moment nobody knows: the checkout begins, and is not called under way.
    first = await rig.press("too-early")
    assert (first.status_code, first.headers["idempotency-key"]) == (503, "too-early")
    assert (await rig.http.get("/readyz")).status_code == 503
    # From then on none begins, and nobody waits to hear it.
    async with asyncio.timeout(rig.settings.session_wait):
        assert (await rig.press("too-late")).status_code == 503
    assert not await rig.is_known("too-late")
    assert await on_hand(rig.engine, "pen") == left

    ballast.unlink()

    async def is_ready() -> bool:
        return (await rig.http.get("/readyz")).status_code == 200

    await eventually(is_ready, what="the gateway being ready again")
    for key in ("too-early", "too-late"):
        order_id = (await rig.buy(key)).json()["order_id"]
        assert (await rig.order(order_id)).status is OrderStatus.AWAITING_PAYMENT


async def test_a_write_that_failed_for_want_of_room_counts_for_a_while(engine: AsyncEngine) -> None:
    """Whatever a look says: a temporary file may find room where a table finds none."""
    watch = WriteWatch(engine, remembered=0.5)
    await watch.look()
    async with engine.begin() as connection:
        for statement in NO_ROOM.strip().split(";\n"):
            await connection.exec_driver_sql(statement)
    with pytest.raises(DBAPIError):
        await open_order(engine, "k", CartLine("pen", 1))
    assert "disk is full" in (watch.refusal or "")
    with pytest.raises(WritesRefused, match="disk is full"):
        await watch.look()

    async def is_over() -> bool:
        try:
            await watch.look()
        except WritesRefused:
            return False
        return watch.trouble is None

    await eventually(is_over)


async def process(connection: AsyncConnection) -> int:
    return int((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one())


async def test_a_session_that_became_read_only_is_thrown_away_with_all_of_its_pool(engine: AsyncEngine) -> None:
    watch = WriteWatch(engine)
    async with engine.connect() as first, engine.connect() as second:
        stale = {await process(first), await process(second)}
        for connection in (first, second):
            await connection.exec_driver_sql("SET default_transaction_read_only = on")
            await connection.commit()
    await watch.look()  # at a session of the server as it is now, which takes writes
    assert watch.refusal is None
    async with engine.connect() as first, engine.connect() as second:
        assert not stale & {await process(first), await process(second)}


async def test_a_server_that_is_read_only_refuses_until_it_is_not(database_url: str, engine: AsyncEngine) -> None:
    watch, name = WriteWatch(engine), database_url.rpartition("/")[2]
    async with connected(database_url) as owner:
        await owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        for _ in range(2):
            with pytest.raises(WritesRefused, match="read-only"):
                await watch.look()
        await owner.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    await watch.look()
    assert (watch.refusal, watch.trouble) == (None, None)


async def test_the_payment_service_gives_up_sessions_that_are_read_only_too(database_url: str) -> None:
    async with Database.open(load_settings(DATABASE_URL=database_url)) as database:
        async with database.single() as first, database.single() as second:
            stale = {first.get_server_pid(), second.get_server_pid()}
            for connection in (first, second):
                await connection.execute("SET default_transaction_read_only = on")
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError, match="may not write"):
            await database.check()
        async with database.single() as first, database.single() as second:
            assert not stale & {first.get_server_pid(), second.get_server_pid()}
        await database.check()


async def test_a_postgresql_that_is_away_is_trouble_and_no_refusal() -> None:
    nowhere = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    watch = WriteWatch(nowhere)
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await watch.look()
    assert (watch.refusal, "does not answer" in (watch.trouble or "")) == (None, True)
