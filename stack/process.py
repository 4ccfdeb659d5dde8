"""One child process: spawned so that nothing of it can outlive us, its output read line by line.

`subprocess.Popen` and a pidfd rather than `asyncio.create_subprocess_exec`: asyncio may call a process
running until its output pipe closes, and orphaned backends of a killed PostgreSQL postmaster hold it open.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from stack.logs import LineSplitter
from stack.part import Part

_PR_SET_PDEATHSIG = 1
_DRAIN = 0.2  # seconds to wait for the last lines of a process that has ended

# Loaded before any fork: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def bound_to_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """For the child, before exec and after the change of uid (which clears the setting): die with the parent.

    The kernel watches the thread that spawned: spawn from one that lives as long as the stack.
    """
    parent = os.getpid()

    def bind() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # the parent died before we could ask
            os._exit(1)

    return bind


class _Reader(asyncio.Protocol):
    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._splitter = LineSplitter()
        self._on_line = on_line
        self.closed = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        for line in self._splitter.feed(data):
            self._on_line(line)

    def connection_lost(self, exc: Exception | None) -> None:
        for line in self._splitter.flush():
            self._on_line(line)
        if not self.closed.done():
            self.closed.set_result(None)


class Child:
    """A running process and its group. Use `Child.spawn`."""

    def __init__(self, popen: "subprocess.Popen[bytes]") -> None:
        self._popen = popen
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._follower: asyncio.Task[None] | None = None
        self.pid = popen.pid
        self.started_at = time.monotonic()

    @classmethod
    def spawn(cls, part: Part, on_line: Callable[[str], None]) -> "Child":
        """Start the part's process in a session of its own. Raises `OSError` when it cannot be executed.

        Without an `await`, so that no cancellation can fall between the fork and the child being known.
        """
        identity = part.identity
        popen = subprocess.Popen(  # noqa: S603 - our own argv, without a shell
            [*identity.prefix, *part.argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(part.env),
            cwd=part.cwd,
            user=identity.uid,
            group=identity.gid,
            extra_groups=None if identity.uid is None else [],
            start_new_session=True,
            preexec_fn=bound_to_parent(part.death_signal),
        )
        child = cls(popen)
        child._follower = asyncio.create_task(child._follow(on_line), name=f"follow {part.name}")
        return child

    async def _follow(self, on_line: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        transport, reader = await loop.connect_read_pipe(lambda: _Reader(on_line), self._popen.stdout)
        await _end_of(self.pid)
        # What the process left in its group has no business to go on. The process itself is not reaped yet,
        # so the number still belongs to this group and to no other.
        self._signal_group(signal.SIGKILL)
        code = self._popen.wait()
        await asyncio.wait([reader.closed], timeout=_DRAIN)
        transport.close()
        self._ended.set_result(code)

    @property
    def running(self) -> bool:
        return not self._ended.done()

    async def ended(self) -> int:
        """The exit code (negative: the signal), once it has ended and its last lines were read."""
        return await asyncio.shield(self._ended)

    def send(self, number: signal.Signals) -> None:
        """Signal the whole process group. Silent when it is gone."""
        if self._popen.returncode is None:
            self._signal_group(number)

    async def stop(self, number: signal.Signals, within: float) -> int:
        """Ask it to end, wait `within` seconds, then kill its group. Returns the exit code."""
        self.send(number)
        self.send(signal.SIGCONT)  # a stopped process (SIGSTOP) hears nothing until it runs again
        try:
            return await asyncio.wait_for(self.ended(), within)
        except TimeoutError:
            self.send(signal.SIGKILL)
            return await self.ended()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


async def _end_of(pid: int) -> None:
    """Returns when the process has ended, and leaves it unreaped."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or a kernel before 5.3
        await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
