"""For tests, campaigns and benchmarks: real stacks in throw-away directories, several side by side if need be."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from stack.config import PARTS, StackConfig
from stack.stack import Stack


def alive(pid: int) -> bool:
    """Whether a process runs. One that has ended and waits to be reaped (a zombie) does not. Linux only."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def data_dir(*, keep: bool = False) -> Iterator[Path]:
    """A new directory, deleted at the end unless `keep`.

    Others may pass through it but not look: as root, PostgreSQL runs as another user, for whom pytest's `tmp_path`
    is closed (the stack then falls back to a user namespace, which not every container allows).
    """
    path = Path(tempfile.mkdtemp(prefix="checkout-"))
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
        async with Stack(StackConfig.for_tests(path, parts=parts or PARTS, **changes)) as stack:
            yield stack


def listening_addresses(port: int) -> set[str]:
    """The addresses that somebody on this machine listens on at that port: hexadecimal, as the kernel writes them."""
    table = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    fields = [row.split() for row in table.splitlines() if " 0A " in row]
    return {one[1].split(":")[0] for one in fields if int(one[1].split(":")[1], 16) == port}
