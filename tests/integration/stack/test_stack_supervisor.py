"""The supervisor with tiny stand-in parts: real processes, each a line of Python."""

import asyncio
import signal
from functools import partial
from pathlib import Path

import pytest

from stack.errors import PartFailed
from stack.parts import Part
from stack.probes import free_ports, tcp_open
from tests.support.stacks import alive
from tests.support.supervised import LISTEN, part, server, supervised


async def test_a_part_starts_when_those_it_needs_are_ready(tmp_path: Path) -> None:
    first, second = free_ports(2)
    slow = f"import time; time.sleep(0.5); {LISTEN}"
    needy = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[2])));" + LISTEN
    parts = (
        part("web", needy, str(second), str(first), needs=("db",), ready=partial(tcp_open, "127.0.0.1", second)),
        part("db", slow, str(first), ready=partial(tcp_open, "127.0.0.1", first)),
    )
    async with supervised(tmp_path, *parts) as (keepers, notes):
        assert notes.readied == ["db", "web"]
        assert keepers["web"].restarts == 0


async def test_parts_that_do_not_need_each_other_start_side_by_side(tmp_path: Path) -> None:
    # Each listens only once the other has been started: one after the other they would never be ready.
    wait = "import os, sys, time; open(sys.argv[2], 'w')\nwhile not os.path.exists(sys.argv[3]): time.sleep(0.01)\n"
    ports, flags = free_ports(2), [str(tmp_path / "a"), str(tmp_path / "b")]
    parts = [
        part(name, wait + LISTEN, str(port), mine, others, ready=partial(tcp_open, "127.0.0.1", port))
        for name, port, mine, others in zip("ab", ports, flags, reversed(flags), strict=True)
    ]
    async with supervised(tmp_path, *parts) as (_, notes):
        assert sorted(notes.readied) == ["a", "b"]


async def test_a_task_is_done_when_it_ends_and_what_needs_it_starts_then(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    flag = str(tmp_path / "done")
    task = part("setup", "import sys, time; time.sleep(0.3); open(sys.argv[1], 'w').close()", flag, once=True)
    needy = part("web", f"open(sys.argv[2]) if (sys := __import__('sys')) else 0; {LISTEN}", str(port), flag,
                 needs=("setup",), ready=partial(tcp_open, "127.0.0.1", port))  # fmt: skip
    async with supervised(tmp_path, task, needy) as (keepers, _):
        assert not keepers["setup"].is_running
        assert keepers["web"].restarts == 0


async def test_a_task_that_fails_ends_the_start_with_its_last_words(tmp_path: Path) -> None:
    task = part("setup", "raise SystemExit('the schema is newer than this program')", once=True)
    with pytest.raises(PartFailed, match=r"(?s)setup ended with exit code 1.*schema is newer"):
        async with supervised(tmp_path, task):
            pass


async def test_a_killed_part_is_back_at_once(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    async with supervised(tmp_path, server("web", port)) as (keepers, notes):
        keeper = keepers["web"]
        before = keeper.pid
        await keeper.kill(signal.SIGKILL)
        assert not alive(before)
        await keeper.wait_ready(30)
        assert keeper.pid != before
        assert keeper.restarts == 1
        assert "web was killed by SIGKILL; starting it again at once" in notes.troubles


async def test_a_part_that_keeps_dying_is_reported_with_its_last_lines_and_tried_again(tmp_path: Path) -> None:
    port, broken = free_ports(1)[0], tmp_path / "broken"
    code = f"import os, sys\nif os.path.exists(sys.argv[2]): sys.exit('no such table: orders')\n{LISTEN}"
    web = part("web", code, str(port), str(broken), ready=partial(tcp_open, "127.0.0.1", port))
    async with supervised(tmp_path / "logs", web) as (keepers, notes):
        keeper = keepers["web"]
        broken.touch()
        await keeper.kill(signal.SIGKILL)
        await notes.until(lambda: any("keeps dying" in sentence for sentence in notes.troubles))
        assert "no such table: orders" in notes.troubles[-1]
        broken.unlink()
        await keeper.wait_ready(30)
        assert keeper.restarts >= 4


async def test_a_part_that_never_worked_is_given_up_with_its_last_lines(tmp_path: Path) -> None:
    doomed = part("web", "raise SystemExit('Wrong settings. STRIPE_API_BASE')", ready=partial(tcp_open, "127.0.0.1", 1))
    with pytest.raises(PartFailed, match=r"(?s)web does not start.*exit code 1.*STRIPE_API_BASE"):
        async with supervised(tmp_path, doomed):
            pass


async def test_a_part_that_runs_but_never_answers_is_given_up_in_time(tmp_path: Path) -> None:
    mute = part("web", "import time; time.sleep(600)", ready=partial(tcp_open, "127.0.0.1", 1), ready_within=1)
    with pytest.raises(PartFailed, match=r"web was not ready within 1.* nobody answers on 127.0.0.1:1"):
        async with supervised(tmp_path, mute):
            pass


async def test_a_program_that_cannot_be_executed_is_named(tmp_path: Path) -> None:
    with pytest.raises(PartFailed, match=r"web cannot start: .*no-such-program"):
        async with supervised(tmp_path, Part(name="web", argv=("/no-such-program",))):
            pass


async def test_what_a_part_says_is_shown_and_kept(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    code = "print('Checkout with UUID abcde-12345 succeeded!', flush=True);" + LISTEN
    web = part("worker", code, str(port), ready=partial(tcp_open, "127.0.0.1", port))
    async with supervised(tmp_path, web) as (_, notes):
        await notes.until(lambda: bool(notes.lines))
    assert notes.lines == ["worker | Checkout with UUID abcde-12345 succeeded!"]
    assert (tmp_path / "worker.log").read_text() == "Checkout with UUID abcde-12345 succeeded!\n"


async def test_a_quiet_part_shows_its_warnings_only_but_its_log_has_everything(tmp_path: Path) -> None:
    code = "print('LOG: fine'); print('WARNING: not fine')"
    quiet = part("postgres", code, once=True, shows=lambda line: "WARNING" in line)
    async with supervised(tmp_path, quiet) as (_, notes):
        assert notes.lines == ["postgres | WARNING: not fine"]
    assert (tmp_path / "postgres.log").read_text() == "LOG: fine\nWARNING: not fine\n"


async def test_a_part_that_worked_for_a_while_before_each_death_is_no_crash_loop(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    async with supervised(tmp_path, server("web", port, steady_after=0.05)) as (keepers, notes):
        keeper = keepers["web"]
        for _ in range(5):
            await asyncio.sleep(0.1)  # it works for a while
            await keeper.kill(signal.SIGKILL)
            await keeper.wait_ready(30)
        assert keeper.restarts == 5
        assert set(notes.troubles) == {"web was killed by SIGKILL; starting it again at once"}
