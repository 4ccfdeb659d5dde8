"""Folders with signs in their names that other syntaxes read as their own: URIs, .ini files, shells, markup."""

# ruff: noqa: ASYNC240 - tests look at files, which nobody announces

import asyncio
import os
import shutil
import signal
import stat
import sys
from pathlib import Path

import pytest

from stack.config import StackConfig
from stack.stack import Stack
from tests.support.databases import START_THE_PAYMENT_SERVICES_DATABASE, DatabaseServer
from tests.support.stack_up import up

ROOT = Path(__file__).resolve().parents[3]
NAMES = ["C# 100% (new) a%25b?mode=memory", '$HOME `id` "it\'s" [red]']


@pytest.mark.parametrize("name", NAMES)
async def test_both_servers_keep_their_data_where_they_were_told_and_find_it_again(place: Path, name: str) -> None:
    data_dir = place / name
    config = StackConfig.for_tests(data_dir, parts=("postgres", "temporal"))
    for _ in range(2):
        async with Stack(config):
            assert (data_dir / "temporal" / "temporal.db").is_file()
        assert {file.name for file in place.iterdir()} == {name}
    assert (data_dir / "postgres" / "PG_VERSION").is_file()
    assert stat.S_IMODE((data_dir / "temporal").stat().st_mode) == 0o700


async def test_the_supervisor_says_the_name_as_it_is(place: Path) -> None:
    name = NAMES[1]
    async with up(place / name, parts="postgres") as running:
        await running.until("Ctrl-C stops everything")
        running.process.send_signal(signal.SIGINT)
        assert await running.end() == 0
        assert f"data stays in {place / name}/" in running.output


async def test_a_working_copy_may_be_called_anything(tmp_path: Path, database_server: DatabaseServer) -> None:
    """`python -m db setup`, and what the payment service does at its start, in a folder that .ini files read."""
    copy = tmp_path / "100% (new) %(here)s"
    for package in ("checkout", "runtime", "db", "payment_mock"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    script = START_THE_PAYMENT_SERVICES_DATABASE + "print(payment_mock.__file__)"
    async with database_server.empty() as url:
        for arguments in (("-m", "db", "setup"), ("-c", script)):
            process = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, cwd=copy, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(copy), "DATABASE_URL": url},
            )  # fmt: skip
            async with asyncio.timeout(60):
                output, _ = await process.communicate()
            assert process.returncode == 0, output.decode()
        assert str(copy) in output.decode()
