"""`checkout up` as people meet it: a process in a terminal, its exit code and its sentences."""

# ruff: noqa: ASYNC110, ASYNC240 - tests look at files and foreign processes, which nobody announces

import asyncio
import json
import os
import re
import signal
import stat
from pathlib import Path

import pytest

from stack.config import StackConfig
from stack.data_dir import read_state
from stack.stack import Stack
from tests.support.eventually import eventually
from tests.support.stack_up import Up, up
from tests.support.stacks import alive, brisk, data_dir

SERVERS = ("postgres", "temporal")


async def all_gone(pids: list[int], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while any(alive(pid) for pid in pids):
            await asyncio.sleep(0.01)


async def test_it_says_where_everything_is_and_how_to_begin_and_ctrl_c_stops_it(place: Path) -> None:
    async with up(place) as running:
        await running.until("Ctrl-C stops everything")
        state = json.loads((place / "stack.json").read_text())
        assert state["temporal"]["ui_url"] in running.output
        assert f"data stays in {place}/" in running.output
        for part in SERVERS:
            assert re.search(rf"{part} +\| ready after \d+\.\d s", running.output)
        await stops_by(running, signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_so_does_any_other_signal_that_asks_it_to_end(place: Path, number: signal.Signals) -> None:
    async with up(place, parts="postgres") as running:
        await running.until("Ctrl-C stops everything")
        await stops_by(running, number)


async def stops_by(running: Up, number: signal.Signals) -> None:
    """Stops everything, and that is a success."""
    pids = running.pids()
    assert all(alive(pid) for pid in pids)
    running.process.send_signal(number)
    assert await running.end() == 0
    assert not any(alive(pid) for pid in pids)
    assert not (running.path / "stack.json").exists()
    assert "Stopped. Data stays in" in running.output


@pytest.mark.parametrize(
    ("number", "through"),
    [(signal.SIGHUP, ("nohup",)), (signal.SIGINT, ("sh", "-c", 'trap "" INT; exec "$0" "$@"'))],
)
async def test_a_signal_that_was_ignored_when_it_came_stays_ignored(
    place: Path, number: signal.Signals, through: tuple[str, ...]
) -> None:
    """`nohup make up &`, and a shell's background job."""
    async with up(place, parts="postgres", through=through) as running:
        await running.until("Ctrl-C stops everything")
        (pid,) = running.pids()
        running.process.send_signal(number)
        os.kill(pid, signal.SIGKILL)  # a stack that had heard the signal would not start it again
        await running.until("starting it again")
        running.process.send_signal(signal.SIGTERM)
        assert await running.end() == 0


async def test_no_part_hears_what_the_shell_says_to_other_programs(place: Path) -> None:
    shell = {"PGSSLMODE": "require", "PGSERVICE": "nowhere", "PGPORT": "1", "PGTARGETSESSIONATTRS": "standby"}
    shell |= {"PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error", "WEB_CONCURRENCY": "4", "FORWARDED_ALLOW_IPS": "*"}
    async with up(place, parts="postgres,setup,payment", CHECKOUT_LOG_FORMAT="json", **shell) as running:
        await running.until("Ctrl-C stops everything")
        assert '"message": "Database schema is up to date"' in running.output
        running.process.send_signal(signal.SIGINT)
        assert await running.end() == 0


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
            while not ((place / "postgres.new").exists() or (place / "postgres").exists()):
                await asyncio.sleep(0.005)
        running.process.send_signal(signal.SIGTERM)
        assert await running.end() == 0
        assert "Traceback" not in running.output


async def test_it_stays_open_when_its_reader_is_gone_and_stops_in_order_all_the_same(place: Path) -> None:
    """`checkout up | head`, and Ctrl-C at `make up | tee`, which ends the reader first."""
    async with up(place) as running:
        await running.until("Ctrl-C stops everything")
        pids = running.pids()
        running.process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        os.kill(json.loads((place / "stack.json").read_text())["temporal"]["pid"], signal.SIGKILL)  # it has to say so

        def is_back() -> bool:
            return running.pids() != pids and all(alive(pid) for pid in running.pids())

        await eventually(is_back, within=60, what="the killed part")
        pids = running.pids()
        running.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(30):
            assert await running.process.wait() == 0
        assert not any(alive(pid) for pid in pids)
        assert not (place / "stack.json").exists()


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
        assert await running.end(within=12) == 130
        await all_gone([pid])
        for child in children:
            os.kill(child, signal.SIGKILL) if alive(child) else None


async def test_the_operators_token_comes_from_the_setting_if_there_is_one(place: Path) -> None:
    async with up(place, parts="postgres", CHECKOUT_ADMIN_TOKEN="my-own-operator-token") as running:
        await running.until("Ctrl-C stops everything")
        assert json.loads((place / "stack.json").read_text())["admin_token"] == "my-own-operator-token"


async def test_the_state_file_is_private_names_every_part_and_follows_restarts(place: Path) -> None:
    config = StackConfig.for_tests(place, parts=SERVERS, adapt=brisk)
    async with Stack(config) as stack:
        file = place / "stack.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        state = json.loads(file.read_text())
        assert state["postgres"]["pid"] == stack["postgres"].pid
        assert state["postgres"]["url"] == f"postgresql://127.0.0.1:{config.settings.postgres_port}/checkout"
        assert state["temporal"] == {
            "pid": stack["temporal"].pid,
            "url": f"127.0.0.1:{config.settings.temporal_port}",
            "ui_url": f"http://localhost:{config.settings.temporal_ui_port}",
        }
        assert state["database_url"] == stack.database_url
        assert state["admin_token"] == stack.admin_token
        assert state["supervisor_pid"] == os.getpid()
        await stack["temporal"].kill()
        await stack["temporal"].wait_ready()
        assert json.loads(file.read_text())["temporal"]["pid"] == stack["temporal"].pid != state["temporal"]["pid"]
    assert not file.exists()


async def test_two_stacks_run_side_by_side(place: Path) -> None:
    with data_dir() as other:
        async with (
            Stack(StackConfig.for_tests(place, parts=SERVERS, adapt=brisk)) as one,
            Stack(StackConfig.for_tests(other, parts=SERVERS, adapt=brisk)) as two,
        ):
            assert one.database_url != two.database_url
            assert one.admin_token != two.admin_token
