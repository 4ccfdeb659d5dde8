"""For tests, campaigns and benchmarks: real stacks in throw-away directories, several side by side if need be."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from stack.config import StackConfig
from stack.environment import python_environment
from stack.errors import NotReady
from stack.parts import PARTS, Part, Probe
from stack.stack import Stack


def alive(pid: int | None) -> bool:
    """Whether a process runs. One that has ended and waits to be reaped (a zombie) does not; nor does None."""
    try:
        return pid is not None and psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def quick_disk(room: int = 8 * 2**30) -> str | None:
    """Where data go that are worth nothing: into memory if there is plenty (bytes), else None, where all else goes.

    Servers of tests make and delete thousands of files, and ext4, which uses no number of a file just deleted again,
    takes ever longer to make one: up to ten times the CPU.
    """
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and min(shutil.disk_usage(memory).free, psutil.virtual_memory().available) > room
    return str(memory) if has_room and os.access(memory, os.W_OK) else None


@contextmanager
def data_dir(*, keep: bool = False) -> Iterator[Path]:
    """A new directory, deleted at the end unless `keep`.

    Others may pass through it but not look: as root, PostgreSQL runs as another user, for whom pytest's `tmp_path`
    is closed (the stack then falls back to a user namespace, which not every container allows).
    """
    path = Path(tempfile.mkdtemp(prefix="checkout-", dir=quick_disk()))
    path.chmod(0o711)
    try:
        yield path
    finally:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)


@asynccontextmanager
async def running_stack(*parts: str, **changes: Any) -> AsyncIterator[Stack]:
    """A stack of only these parts (all, if none are named), on free ports, gone at the end.

    `changes` are fields of `StackConfig`. Leave the context in the event loop that entered it.
    """
    with data_dir() as path:
        config = StackConfig.for_tests(path, parts=parts or tuple(PARTS), **({"adapt": brisk} | changes))
        async with Stack(config) as stack:
            yield stack


def brisk(part: Part) -> Part:
    """Temporal without its leisure: a polite end takes it two seconds, and a sudden one loses nothing either; what has
    ended can be deleted once it has noted how far it is, which it does every half a minute by itself."""
    if part.name != "temporal":
        return part
    noting = [f'history.{queue}ProcessorUpdateAckInterval="500ms"' for queue in ("transfer", "timer", "visibility")]
    values = [word for value in noting for word in ("--dynamic-config-value", value)]
    return replace(part, argv=(*part.argv, *values), stop_within=0.0)


@asynccontextmanager
async def shared_stack() -> AsyncIterator[Stack]:
    """A whole stack for all tests that only use it. Dispatch takes a second here, and however long the run: no order of
    an earlier test gives its stock back while a later one counts."""
    settings = {
        "CHECKOUT_DISPATCH_DURATION": "1",
        "CHECKOUT_SWEEP_INTERVAL": "2",
        "CHECKOUT_PAYMENT_TIMEOUT": "7200",
    }
    async with running_stack(extra_env=settings) as stack:
        yield stack


async def ready(probe: Probe) -> None:
    """Once the part answers."""
    while True:
        with suppress(NotReady):
            await probe()
            return
        await asyncio.sleep(0.05)


def listening_addresses(port: int) -> set[str]:
    """The addresses that somebody on this machine listens on at that port."""
    found = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    return {one.laddr.ip for one in found if one.laddr.port == port}


def environment_of(stack: Stack) -> dict[str, str]:
    """What its Python parts are told: for a command line that is to talk to this stack."""
    return python_environment(stack.config, stack.credentials)


def log_of(stack: Stack, part: str) -> str:
    """What the part has written to its log file."""
    return (stack.config.data_dir / "logs" / f"{part}.log").read_text(errors="replace")
