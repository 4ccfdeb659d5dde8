"""The embedded PostgreSQL and Temporal, for real: made, killed, damaged, and found again."""

# ruff: noqa: ASYNC110 - tests look at files and foreign processes, which nobody announces

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from runtime.search_attributes import SEARCH_ATTRIBUTES
from stack import temporal
from stack.config import StackConfig
from stack.errors import PartFailed, StackError
from stack.identity import first_able, unprivileged
from stack.parts import Identity
from stack.postgres import VERSION, program
from stack.probes import free_ports
from stack.stack import Stack
from tests.support.stacks import alive, data_dir, listening_addresses, running_stack


@pytest.fixture(scope="module")
async def postgres() -> AsyncIterator[Stack]:
    async with running_stack("postgres") as stack:
        yield stack


async def rows(url: str, query: str) -> list[tuple]:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def test_the_database_wants_the_generated_password(postgres: Stack) -> None:
    assert await rows(postgres.database_url, "SELECT current_user, current_database()") == [("checkout", "checkout")]
    wrong = postgres.database_url.replace("checkout:", "checkout:x", 1)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await rows(wrong, "SELECT 1")


async def test_the_database_listens_on_loopback_only_and_has_no_socket_file(postgres: Stack) -> None:
    assert listening_addresses(postgres.config.settings.postgres_port) == {"127.0.0.1"}
    assert (await rows(postgres.database_url, "SHOW unix_socket_directories")) == [("",)]


async def test_the_database_is_of_the_version_that_is_told(postgres: Stack) -> None:
    major = "SELECT current_setting('server_version_num')::int / 10000"
    assert await rows(postgres.database_url, major) == [(VERSION,)]


async def test_a_user_database_promises_durability() -> None:
    with data_dir() as path:
        config = StackConfig.for_tests(path, parts=("postgres",), fsync=True)
        async with Stack(config) as stack:
            names = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")
            values = [(await rows(stack.database_url, f"SHOW {name}"))[0][0] for name in names]
            assert values == ["on"] * 4


async def test_data_and_secrets_which_are_private_survive_a_restart_and_data_a_kill() -> None:
    def known(stack: Stack) -> tuple[str, str, str]:
        return stack.database_url, stack.admin_token, stack.credentials.webhook_secret

    with data_dir() as path:
        config = StackConfig.for_tests(path, parts=("postgres",))
        async with Stack(config) as stack:
            before = known(stack)
            await rows(stack.database_url, "CREATE TABLE kept AS SELECT 7 AS n")
        async with Stack(config) as stack:
            assert known(stack) == before
            assert await rows(stack.database_url, "SELECT n FROM kept") == [(7,)]
            await stack["postgres"].kill(signal.SIGKILL)
            await stack["postgres"].wait_ready(timeout=60)
            assert stack["postgres"].restarts == 1
            assert await rows(stack.database_url, "SELECT n FROM kept") == [(7,)]
        assert stat.S_IMODE((path / "secrets").stat().st_mode) == 0o700
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (path / "secrets").iterdir()}
        assert modes == {"postgres-password": 0o600, "admin-token": 0o600, "webhook-secret": 0o600}


async def test_a_busy_backend_that_outlives_the_killed_server_does_not_keep_it_down(postgres: Stack) -> None:
    connection = await asyncpg.connect(postgres.database_url)
    backend = await connection.fetchval("SELECT pg_backend_pid()")
    busy = asyncio.create_task(connection.execute("SELECT count(*) FROM generate_series(1, 10000000000)"))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        while (await rows(postgres.database_url, f"SELECT state FROM pg_stat_activity WHERE pid = {backend}")) != [
            ("active",)
        ]:
            pass
    before = postgres["postgres"].restarts
    await postgres["postgres"].kill(signal.SIGKILL)
    await postgres["postgres"].wait_ready(timeout=60)
    assert postgres["postgres"].restarts == before + 1, "at the first attempt"
    assert not alive(backend)
    assert await rows(postgres.database_url, "SELECT 1") == [(1,)]
    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await busy


async def test_an_initdb_that_was_killed_half_way_is_forgotten() -> None:
    with data_dir() as path:
        config = StackConfig.for_tests(path, parts=("postgres",))
        stack = Stack(config)
        starting = asyncio.create_task(stack.start())
        async with asyncio.timeout(20):
            while not (path / "postgres.new" / "PG_VERSION").exists():
                await asyncio.sleep(0.002)
        initdb = processes_that_say("initdb", f"{path}/postgres.new")
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert initdb
        assert not any(alive(pid) for pid in initdb)
        assert not (path / "postgres").exists()
        # What a kill of everything would have left:
        (path / "postgres.new").mkdir(exist_ok=True)
        (path / "postgres.new" / "PG_VERSION").write_text("18\n")
        (path / "postgres.new.password").write_text("left over")
        async with Stack(config) as again:
            assert await rows(again.database_url, "SELECT 1") == [(1,)]
        assert not (path / "postgres.new.password").exists()


async def test_a_lock_file_whose_number_belongs_to_somebody_else_by_now_is_no_obstacle() -> None:
    with data_dir() as path:
        config = StackConfig.for_tests(path, parts=("postgres",))
        async with Stack(config) as stack:
            lock = (path / "postgres" / "postmaster.pid").read_text().splitlines()
            owner = (path / "postgres").stat()
        stranger = await asyncio.create_subprocess_exec(
            "sleep", "600", **({"user": owner.st_uid} if os.geteuid() == 0 else {})
        )
        try:
            stale = path / "postgres" / "postmaster.pid"
            stale.write_text("\n".join([str(stranger.pid), *lock[1:]]) + "\n")
            os.chown(stale, owner.st_uid, owner.st_gid)
            async with Stack(config) as stack:
                assert await rows(stack.database_url, "SELECT 1") == [(1,)]
        finally:
            stranger.kill()
            await stranger.wait()


async def test_a_data_directory_that_does_not_fit_is_explained() -> None:
    with data_dir() as path:
        (path / "postgres").mkdir(mode=0o700)
        (path / "postgres" / "postgresql.conf").touch()
        (path / "postgres" / "PG_VERSION").write_text("9.6\n")
        with pytest.raises(PartFailed, match=r"(?s)postgres does not start.*version 9\.6"):
            await Stack(StackConfig.for_tests(path, parts=("postgres",))).start()


async def test_the_server_never_runs_as_root_and_only_its_own_directory_is_given_away(postgres: Stack) -> None:
    path = postgres.config.data_dir
    assert psutil.Process(postgres["postgres"].pid).uids().real != 0
    assert path.stat().st_uid == (path / "secrets").stat().st_uid == os.geteuid()
    assert ((path / "postgres").stat().st_uid == os.geteuid()) == (os.geteuid() != 0)


async def test_in_a_directory_closed_to_others_it_still_runs(tmp_path: Path) -> None:
    """As root that takes a user namespace; where there are none, a sentence says what to do."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    identity = None
    with contextlib.suppress(StackError):
        identity = unprivileged(program("postgres"), closed, user=os.geteuid())
    if identity is None:
        with pytest.raises(StackError, match="run `make up` as an ordinary user"):
            await Stack(StackConfig.for_tests(closed, parts=("postgres",))).start()
        return
    assert bool(identity.prefix) == (os.geteuid() == 0)
    async with Stack(StackConfig.for_tests(closed, parts=("postgres",))) as stack:
        assert await rows(stack.database_url, "SELECT 1") == [(1,)]
    # The same data, after a move to where others can pass: it changes hands.
    with data_dir() as open_path:
        shutil.copytree(closed / "postgres", open_path / "postgres")
        shutil.copytree(closed / "secrets", open_path / "secrets")
        async with Stack(StackConfig.for_tests(open_path, parts=("postgres",))) as stack:
            assert await rows(stack.database_url, "SELECT 1") == [(1,)]


async def test_without_another_user_or_namespace_one_sentence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="run `make up` as an ordinary user"):
        first_able((None, None), program("postgres"), tmp_path)


async def test_who_is_not_root_runs_it_as_themselves(tmp_path: Path) -> None:
    assert unprivileged(program("postgres"), tmp_path, user=1000) == Identity()


def processes_that_say(*words: str) -> list[int]:
    """The pids of those whose command line holds all these words."""
    running = psutil.process_iter(["cmdline"])
    return [one.pid for one in running if all(word in " ".join(one.info["cmdline"] or ()) for word in words)]


async def test_temporal_keeps_the_indexes_of_our_search_attributes_and_of_no_spare_column() -> None:
    with data_dir() as path:
        config = StackConfig.for_tests(path, parts=("temporal",))
        for _ in ("made", "found again"):
            async with Stack(config):
                client = await Client.connect(f"127.0.0.1:{config.settings.temporal_port}")
                namespace = await client.workflow_service.describe_namespace(
                    DescribeNamespaceRequest(namespace="default")
                )
                ours = namespace.config.custom_search_attribute_aliases
                with contextlib.closing(sqlite3.connect(path / "temporal" / "temporal.db")) as store:
                    indexes = {name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
            assert sorted(ours.values()) == sorted(key.name for key in SEARCH_ATTRIBUTES)
            assert {name for name in indexes if name[-2:].isdigit()} == {
                f"by_keyword_{column.removeprefix('Keyword')}" for column in ours
            }
            assert {"by_workflow_id", "by_status", "by_execution_time"} <= indexes


def test_a_store_whose_indexes_cannot_be_dropped_is_served_with_all_of_them(tmp_path: Path) -> None:
    """Nobody answers, and there is no store: it is only about speed."""
    temporal.drop_spare_indexes(tmp_path / "temporal.db", free_ports(1)[0])
    assert not list(tmp_path.iterdir())
