"""What `checkout up` refuses to start with: one clear sentence, and nothing left running."""

import asyncio
import fcntl
import os
import socket
import sys
from pathlib import Path

import pytest

from stack import preflight
from stack.config import StackConfig
from stack.data_dir import read_state
from stack.errors import DataDirInUse, PortTaken, StackError
from stack.probes import free_ports
from stack.stack import Stack
from tests.support.disks import small_disk
from tests.support.stack_up import up
from tests.support.stacks import alive, data_dir

SERVERS = ("postgres", "temporal")


async def test_a_second_stack_on_the_same_data_names_the_first(place: Path) -> None:
    async with Stack(StackConfig.for_tests(place, parts=("postgres",))) as first:
        async with up(place, parts="postgres") as second:
            assert await second.end() == 1
            assert f"pid {os.getpid()}" in second.output
            assert "CHECKOUT_DATA_DIR" in second.output
            assert "Traceback" not in second.output
        with pytest.raises(DataDirInUse):
            await Stack(StackConfig.for_tests(place, parts=("postgres",))).start()
        assert alive(first["postgres"].pid)
        assert read_state(place) is not None


async def test_a_taken_port_names_the_setting_and_who_holds_it(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with up(place, CHECKOUT_TEMPORAL_UI_PORT=port) as running:
            assert await running.end() == 1
            assert f"Port {port} is taken by" in running.output
            assert f"(pid {os.getpid()})" in running.output
            assert "set CHECKOUT_TEMPORAL_UI_PORT to another port" in running.output
            assert "Traceback" not in running.output
    assert not (place / "stack.json").exists()


async def test_after_a_crash_the_ports_get_a_moment_to_become_free(place: Path) -> None:
    config = StackConfig.for_tests(place, parts=("postgres",))
    with socket.create_server(("127.0.0.1", config.settings.postgres_port)) as taken:
        with pytest.raises(PortTaken):
            await preflight.check_ports(config, after_crash=False)
        asyncio.get_running_loop().call_later(0.3, taken.close)
        await preflight.check_ports(config, after_crash=True)


async def test_two_parts_on_one_port_are_refused(place: Path) -> None:
    port = free_ports(1)[0]
    config = StackConfig.for_tests(place, parts=SERVERS, temporal_port=port, postgres_port=port)
    with pytest.raises(PortTaken, match="CHECKOUT_TEMPORAL_PORT and CHECKOUT_POSTGRES_PORT are both"):
        await Stack(config).start()


async def test_an_unreachable_database_of_ones_own_is_one_sentence_without_its_password(place: Path) -> None:
    url = f"postgresql://me:hunter2@127.0.0.1:{free_ports(1)[0]}/shop"
    async with up(place, DATABASE_URL=url) as running:
        assert await running.end() == 1
        assert "nobody answers there" in running.output
        assert "hunter2" not in running.output
        assert "Traceback" not in running.output


async def test_a_database_of_ones_own_is_used_and_its_mistakes_are_named(place: Path) -> None:
    async with Stack(StackConfig.for_tests(place, parts=("postgres",))) as owner:
        url = owner.database_url
        with data_dir() as other:
            config = StackConfig.for_tests(other, parts=("postgres",), database_url=url)
            async with Stack(config) as guest:
                assert guest.database_url == url
                assert not (other / "postgres").exists()
            wrong = {
                "refuses the user or the password": url.replace("checkout:", "checkout:x", 1),
                "has no such database": url.removesuffix("/checkout") + "/nowhere",
            }
            for sentence, address in wrong.items():
                with pytest.raises(StackError, match=sentence):
                    await Stack(StackConfig.for_tests(other, parts=("postgres",), database_url=address)).start()


async def test_an_unreachable_temporal_of_ones_own_is_one_sentence(place: Path) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    async with up(place, TEMPORAL_ADDRESS=address) as running:
        assert await running.end() == 1
        assert f"TEMPORAL_ADDRESS is {address}, and nobody answers there" in running.output


async def test_a_payment_service_of_ones_own_without_a_webhook_secret_is_refused(place: Path) -> None:
    config = StackConfig.for_tests(place, stripe_secret_key="sk_test_mine")
    with pytest.raises(StackError, match="STRIPE_WEBHOOK_SECRET is not set"):
        await Stack(config).start()


async def test_a_full_disk_is_refused_before_anything_is_written(place: Path) -> None:
    with small_disk(disk := place / "small"):
        with pytest.raises(StackError, match="Only 33 MB are free"):
            await Stack(StackConfig.for_tests(disk, parts=("postgres",))).start()
        assert {file.name for file in disk.iterdir()} == {"stack.lock"}


async def test_a_missing_program_is_named_with_the_way_to_get_it(place: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(StackError, match="`temporal` is not in this environment: run `make up`"):
        await Stack(StackConfig.for_tests(place, parts=("temporal",))).start()


async def test_a_data_directory_that_cannot_be_made_is_one_sentence(place: Path) -> None:
    (place / "file").write_text("in the way")
    async with up(place / "file" / "var") as running:
        assert await running.end() == 1
        assert "cannot be used" in running.output
        assert "Traceback" not in running.output


async def test_a_wrong_setting_is_named(place: Path) -> None:
    async with up(place, CHECKOUT_API_PORT="99999") as running:
        assert await running.end() == 1
        assert "CHECKOUT_API_PORT" in running.output
        assert "Traceback" not in running.output


async def test_an_unknown_part_is_a_usage_error(place: Path) -> None:
    async with up(place, parts="postgres,redis") as running:
        assert await running.end() == 2


async def test_a_start_that_fails_leaves_nothing_running_and_the_directory_free(place: Path) -> None:
    config = StackConfig.for_tests(place, parts=SERVERS)
    (place / "temporal").write_text("a file where a directory must be")
    with pytest.raises(StackError, match="temporal cannot start"):
        await Stack(config).start()
    with (place / "stack.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not (place / "stack.json").exists()
    (place / "temporal").unlink()
    async with Stack(config):
        pass
