"""One child process: spawned so that nothing of it can outlive us, its output read line by line and kept.

`subprocess.Popen` and a pidfd rather than `asyncio.create_subprocess_exec`: asyncio may call a process
running until its output pipe closes, and orphaned backends of a killed PostgreSQL postmaster hold it open.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path

from stack.parts import Part

LONGEST_LINE = 64 * 1024  # bytes; a longer one is cut into several
_TAIL_LINES = 12
_DRAIN = 0.2  # seconds to wait for the last lines of a process that has ended
_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class PartLog(RotatingFileHandler):
    """`<part>.log`, turned over to `<part>.log.1` at `limit` bytes. `tail` holds the last lines, for messages."""

    def __init__(self, path: Path, limit: int = 5_000_000) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().__init__(path, maxBytes=limit, backupCount=1, encoding="utf-8", errors="replace")
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def write(self, line: str) -> None:
        """Keep one line. A full disk loses log lines but never stops the part that writes them."""
        self.tail.append(line)
        self.emit(logging.makeLogRecord({"msg": line}))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """The disk is full: the line is lost, without a word for each."""

    def with_tail(self, sentence: str) -> str:
        return sentence + (". Its last lines:" + "".join(f"\n    {line}" for line in self.tail) if self.tail else "")


async def lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Whole lines, whatever is written: one beyond the stream's limit in pieces, broken UTF-8 readable."""
    while True:
        try:
            line = await stream.readuntil()
        except asyncio.IncompleteReadError as end:
            if not (line := end.partial):
                return
        except asyncio.LimitOverrunError:
            line = await stream.read(LONGEST_LINE)
        yield line.rstrip(b"\r\n").decode(errors="replace")


def bound_to_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """What the child runs before exec: have the kernel end it with its parent (to be exact, with the thread that
    started it). It comes after the change of uid, which would clear the setting."""
    parent = os.getpid()

    def bind() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # the parent died before we could ask
            os._exit(1)

    return bind


class Child:
    """A running process, in a group of its own. Raises `OSError` when it cannot be executed. It starts without an
    `await`: no cancellation can fall between the fork and the child being known."""

    def __init__(self, part: Part, on_line: Callable[[str], None]) -> None:
        self._popen = subprocess.Popen(  # noqa: S603 - our own argv, without a shell
            [*part.identity.prefix, *part.argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(part.env),
            cwd=part.cwd,
            start_new_session=True,
            preexec_fn=bound_to_parent(part.death_signal),
            **part.identity.for_subprocess,
        )
        self.pid = self._popen.pid
        self.started_at = time.monotonic()
        self._end = asyncio.create_task(self._follow(on_line), name=f"follow {part.name}")

    async def _follow(self, on_line: Callable[[str], None]) -> int:
        stream = asyncio.StreamReader(limit=LONGEST_LINE)
        protocol = asyncio.StreamReaderProtocol(stream)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, self._popen.stdout)

        async def read() -> None:
            async for line in lines(stream):
                on_line(line)

        reading = asyncio.create_task(read())
        await _end_of(self.pid)
        # What the process left in its group has no business to go on. The process itself is not reaped yet,
        # so the number still belongs to this group and to no other.
        self.send(signal.SIGKILL)
        code = self._popen.wait()
        await asyncio.wait([reading], timeout=_DRAIN)
        transport.close()
        await reading
        return code

    @property
    def running(self) -> bool:
        return not self._end.done()

    async def ended(self) -> int:
        """The exit code (negative: the signal), once it has ended and its last lines were read."""
        return await asyncio.shield(self._end)

    def send(self, number: signal.Signals) -> None:
        """Signal the whole process group. Silent when it is gone."""
        if self._popen.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    async def stop(self, number: signal.Signals, within: float) -> int:
        """Ask it to end, wait `within` seconds, then kill its group. Returns the exit code."""
        self.send(number)
        self.send(signal.SIGCONT)  # a stopped process (SIGSTOP) hears nothing until it runs again
        try:
            return await asyncio.wait_for(self.ended(), within)
        except TimeoutError:
            self.send(signal.SIGKILL)
            return await self.ended()


async def _end_of(pid: int) -> None:
    """Returns when the process has ended, and does not reap it."""
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
