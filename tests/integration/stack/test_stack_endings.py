"""How supervised parts end: politely, stubbornly, with children, and with whoever supervises them."""

import asyncio
import signal
import socket
import sys
from functools import partial
from pathlib import Path

import pytest

from stack.parts import Part
from stack.probes import free_ports, tcp_open
from tests.support.stacks import alive
from tests.support.supervised import LISTEN, part, server, supervised, until_gone


async def test_stopping_leaves_no_process_behind_not_even_stubborn_ones_and_their_children(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    stubborn = (
        "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(subprocess.Popen(['sleep', '600']).pid, flush=True);" + LISTEN
    )
    web = part("web", stubborn, str(port), ready=partial(tcp_open, "127.0.0.1", port), stop_within=0.3)
    async with supervised(tmp_path, web) as (keepers, notes):
        await notes.until(lambda: bool(notes.lines))
        grandchild, child = int(notes.lines[0].split()[-1]), keepers["web"].pid
        assert alive(grandchild)
    assert not alive(child)
    await until_gone(grandchild)


async def test_what_a_part_leaves_behind_when_it_ends_is_ended_too(tmp_path: Path) -> None:
    leaves = "import subprocess; print(subprocess.Popen(['sleep', '600'], stdout=2).pid, flush=True)"
    async with supervised(tmp_path, part("setup", leaves, once=True)) as (_, notes):
        await notes.until(lambda: bool(notes.lines))
        await until_gone(int(notes.lines[0].split()[-1]))


async def test_a_frozen_part_can_still_be_stopped_politely(tmp_path: Path) -> None:
    port, flag = free_ports(1)[0], tmp_path / "said-goodbye"
    polite = (
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[2], 'w').close(), sys.exit(0)));"
        + LISTEN
    )
    web = part("web", polite, str(port), str(flag), ready=partial(tcp_open, "127.0.0.1", port))
    async with supervised(tmp_path / "logs", web) as (keepers, _):
        await keepers["web"].kill(signal.SIGSTOP)
    assert flag.exists()


async def test_parts_stop_after_those_that_need_them(tmp_path: Path) -> None:
    order, (first, second) = tmp_path / "order", free_ports(2)
    slow = (
        "import signal, sys, time\ndef bye(*_):\n  time.sleep(float(sys.argv[3]))\n"
        "  open(sys.argv[2], 'a').write(sys.argv[4])\n  sys.exit(0)\nsignal.signal(signal.SIGTERM, bye)\n" + LISTEN
    )

    def slow_part(name: str, port: int, seconds: str, **fields: object) -> Part:
        ready = partial(tcp_open, "127.0.0.1", port)
        return part(name, slow, str(port), str(order), seconds, f"{name} ", ready=ready, **fields)

    async with supervised(tmp_path, slow_part("db", first, "0"), slow_part("web", second, "0.4", needs=("db",))):
        pass
    assert order.read_text().split() == ["web", "db"]


async def test_a_part_can_be_stopped_and_started_again(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    async with supervised(tmp_path, server("web", port)) as (keepers, _):
        keeper = keepers["web"]
        await keeper.stop()
        assert not keeper.is_running
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
        await keeper.start()
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        assert keeper.restarts == 0


async def test_nothing_survives_the_kill_of_the_process_that_supervises(tmp_path: Path) -> None:
    """The supervisor runs in a process of its own here, and gets no chance to clean up."""
    port = free_ports(1)[0]
    script = f"""
import asyncio, sys
sys.path[:0] = {sys.path!r}
from functools import partial
from pathlib import Path
from stack.parts import Part
from stack.probes import tcp_open
from stack.supervisor import Keeper

async def main():
    ready = partial(tcp_open, "127.0.0.1", {port})
    web = Part(name="web", argv=(sys.executable, "-c", {LISTEN!r}, "{port}"), ready=ready)
    keeper = Keeper(web, Path({str(tmp_path)!r}))
    await keeper.start()
    print(keeper.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(20):
        child = int(await process.stdout.readline())
    assert alive(child)
    process.kill()
    await process.wait()
    await until_gone(child)
