"""What the parts say: to whoever watches, to a log file of bounded size, and remembered for the message when one keeps
dying."""

import logging
from collections import deque
from logging.handlers import RotatingFileHandler
from pathlib import Path


class Screen:
    """Where a stack reports to. Called from its event loop: must not block. Tests read the log files instead."""

    def line(self, part: str, text: str) -> None:
        """A line that the part wrote."""

    def starting(self, part: str) -> None:
        """Its process is being started for the first time."""

    def ready(self, part: str, seconds: float) -> None:
        """It answers, `seconds` after its process was started."""

    def trouble(self, part: str, sentence: str) -> None:
        """It died, or keeps dying."""


_TAIL_LINES = 12
_LONGEST_LINE = 64 * 1024  # bytes; a longer one is cut into several


class PartLog(RotatingFileHandler):
    """`<part>.log`, turned over to `<part>.log.1` at `limit` bytes: at most twice that on the disk."""

    def __init__(self, path: Path, limit: int = 5_000_000) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().__init__(path, maxBytes=limit, backupCount=1, encoding="utf-8", errors="replace")
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def write(self, line: str) -> None:
        """Keep one line. A full disk loses log lines but never stops the part that writes them."""
        self._tail.append(line)
        self.emit(logging.makeLogRecord({"msg": line}))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """The disk is full: nothing can be done, and nobody is to be told for each line."""

    def tail(self) -> list[str]:
        """The last lines, oldest first."""
        return list(self._tail)

    def forget(self) -> None:
        """Start the tail anew, so that it only ever quotes the present run."""
        self._tail.clear()


class LineSplitter:
    """Bytes in, whole lines out, whatever the process writes: endless lines and broken UTF-8 included."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest[:_LONGEST_LINE])
            self._rest = self._rest[_LONGEST_LINE:]
        return [_text(line) for line in lines]

    def flush(self) -> list[str]:
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode(errors="replace")
