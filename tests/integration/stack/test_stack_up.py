"""`checkout up` as people meet it: a process in a terminal, its exit code and its sentences."""

# ruff: noqa: ASYNC110, ASYNC240 - tests look at files and foreign processes, which nobody announces

import asyncio
import fcntl
import json
import os
import re
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stack import DataDirInUse, PortTaken, Stack, StackConfig, StackError, preflight, read_state
from stack.ports import free_ports
from stack.testing import alive, data_dir

SERVERS = ("postgres", "temporal")


@pytest.fixture
def place() -> Iterator[Path]:
    with data_dir() as path:
        yield path


class Up:
    """A running `python -m stack up`."""

    def __init__(self, process: asyncio.subprocess.Process, path: Path) -> None:
        self.process = process
        self.path = path
        self.output = ""

    async def until(self, text: str, within: float = 40.0) -> None:
        async with asyncio.timeout(within):
            while text not in self.output:
                line = await self.process.stdout.readline()
                assert line, f"it ended without saying {text!r}:\n{self.output}"
                self.output += line.decode()

    async def end(self, within: float = 30.0) -> int:
        async with asyncio.timeout(within):
            self.output += (await self.process.stdout.read()).decode()
            return await self.process.wait()

    def pids(self) -> list[int]:
        state = json.loads((self.path / "stack.json").read_text())
        return [part["pid"] for part in state.values() if isinstance(part, dict)]


@asynccontextmanager
async def up(place: Path, *options: str, parts: str = "postgres,temporal", **settings: str) -> AsyncIterator[Up]:
    """Start it on free ports in `place`. Whatever happens, it is gone at the end."""
    names = ("API", "PAYMENT", "TEMPORAL", "TEMPORAL_UI", "POSTGRES", "WORKER")
    ports = {f"CHECKOUT_{name}_PORT": str(port) for name, port in zip(names, free_ports(len(names)), strict=True)}
    ours = ("CHECKOUT_", "STRIPE_", "TEMPORAL_", "DATABASE_URL")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "stack", "up", "--parts", parts, *options,
        env={**env, "CHECKOUT_DATA_DIR": str(place), **ports, **settings},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Up(process, place)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def all_gone(pids: list[int], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while any(alive(pid) for pid in pids):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_one_signal_stops_everything_and_that_is_a_success(place: Path, number: signal.Signals) -> None:
    async with up(place) as running:
        await running.until("Ctrl-C stops everything")
        pids = running.pids()
        assert all(alive(pid) for pid in pids)
        running.process.send_signal(number)
        assert await running.end() == 0
        assert not any(alive(pid) for pid in pids)
        assert not (place / "stack.json").exists()
        assert "Stopped. Data stays in" in running.output


async def test_nothing_survives_its_sudden_death_and_the_next_start_finds_everything(place: Path) -> None:
    async with up(place) as first:
        await first.until("Ctrl-C stops everything")
        pids = first.pids()
        assert read_state(place) is not None
        first.process.kill()
        await first.process.wait()
        assert (place / "stack.json").exists()
        assert read_state(place) is None  # left over, and known to be
        async with up(place) as second:  # at once: the old servers may still be on their way out
            await second.until("Ctrl-C stops everything")
            await all_gone(pids)
            second.process.send_signal(signal.SIGINT)
            assert await second.end() == 0


async def test_a_signal_while_it_starts_stops_it_as_well(place: Path) -> None:
    async with up(place, parts="postgres") as running:
        async with asyncio.timeout(30):
            while not (place / "postgres.new").exists():
                await asyncio.sleep(0.005)
        running.process.send_signal(signal.SIGTERM)
        assert await running.end() == 0
        assert "Traceback" not in running.output


async def test_a_second_ctrl_c_kills_at_once(place: Path) -> None:
    async with up(place, parts="postgres") as running:
        await running.until("Ctrl-C stops everything")
        (pid,) = running.pids()
        os.kill(pid, signal.SIGSTOP)  # the server hangs...
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        for child in children:
            os.kill(child, signal.SIGSTOP)  # ...with all its processes, so that it cannot stop politely
        running.process.send_signal(signal.SIGINT)
        await running.until("Stopping")
        await asyncio.sleep(1.1)  # what comes sooner counts as the same key press
        running.process.send_signal(signal.SIGINT)
        assert await running.end(within=5) == 130
        await all_gone([pid])
        for child in children:
            os.kill(child, signal.SIGKILL) if alive(child) else None


async def test_it_says_where_everything_is_and_how_to_begin(place: Path) -> None:
    async with up(place) as running:
        await running.until("Ctrl-C stops everything")
        state = json.loads((place / "stack.json").read_text())
        assert state["temporal"]["ui_url"] in running.output
        assert f"data stays in {place}/" in running.output
        for part in SERVERS:
            assert re.search(rf"{part} +\| ready after \d+\.\d s", running.output)


async def test_the_operators_token_comes_from_the_setting_if_there_is_one(place: Path) -> None:
    async with up(place, parts="postgres", CHECKOUT_ADMIN_TOKEN="my-own-operator-token") as running:
        await running.until("Ctrl-C stops everything")
        assert json.loads((place / "stack.json").read_text())["admin_token"] == "my-own-operator-token"


async def test_the_state_file_is_private_names_every_part_and_follows_restarts(place: Path) -> None:
    config = StackConfig.for_tests(place, parts=SERVERS)
    async with Stack(config) as stack:
        file = place / "stack.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        state = json.loads(file.read_text())
        assert state["postgres"]["pid"] == stack.pid("postgres")
        assert state["postgres"]["url"] == f"postgresql://127.0.0.1:{config.postgres_port}/checkout"
        assert state["temporal"] == {
            "pid": stack.pid("temporal"),
            "url": f"127.0.0.1:{config.temporal_port}",
            "ui_url": f"http://localhost:{config.temporal_ui_port}",
        }
        assert state["database_url"] == stack.database_url
        assert state["admin_token"] == stack.admin_token
        assert state["supervisor_pid"] == os.getpid()
        await stack.kill("temporal")
        await stack.wait_ready("temporal")
        assert json.loads(file.read_text())["temporal"]["pid"] == stack.pid("temporal") != state["temporal"]["pid"]
    assert not file.exists()


async def test_a_second_stack_on_the_same_data_names_the_first(place: Path) -> None:
    async with Stack(StackConfig.for_tests(place, parts=("postgres",))) as first:
        async with up(place, parts="postgres") as second:
            assert await second.end() == 1
            assert f"pid {os.getpid()}" in second.output
            assert "CHECKOUT_DATA_DIR" in second.output
            assert "Traceback" not in second.output
        with pytest.raises(DataDirInUse):
            await Stack(StackConfig.for_tests(place, parts=("postgres",))).start()
        assert alive(first.pid("postgres"))
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
    with socket.create_server(("127.0.0.1", config.postgres_port)) as taken:
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


async def test_a_full_disk_is_refused_before_anything_is_written(place: Path, monkeypatch) -> None:
    monkeypatch.setattr(preflight, "_NEEDED_BYTES", 10**18)
    with pytest.raises(StackError, match="MB are free"):
        await Stack(StackConfig.for_tests(place, parts=("postgres",))).start()
    assert {file.name for file in place.iterdir()} == {"stack.lock"}


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


async def test_two_stacks_run_side_by_side(place: Path) -> None:
    with data_dir() as other:
        async with (
            Stack(StackConfig.for_tests(place, parts=SERVERS)) as one,
            Stack(StackConfig.for_tests(other, parts=SERVERS)) as two,
        ):
            assert one.database_url != two.database_url
            assert one.admin_token != two.admin_token


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
