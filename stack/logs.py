"""What the parts say: to a log file of bounded size, and remembered for the message when one keeps dying."""

import contextlib
from collections import deque
from pathlib import Path

_TAIL_LINES = 12
_LONGEST_LINE = 64 * 1024  # bytes; a longer one is cut into several


class PartLog:
    """`<part>.log`, turned over to `<part>.log.1` at `limit` bytes: at most twice that on the disk."""

    def __init__(self, path: Path, limit: int = 5_000_000) -> None:
        self._path = path
        self._limit = limit
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, line: str) -> None:
        """Keep one line. A full disk loses log lines but never stops the part that writes them."""
        self._tail.append(line)
        data = f"{line}\n".encode(errors="replace")
        with contextlib.suppress(OSError):
            if self._size + len(data) > self._limit:
                self._turn_over()
            self._file.write(data)
            self._size += len(data)

    def tail(self) -> list[str]:
        """The last lines, oldest first."""
        return list(self._tail)

    def forget(self) -> None:
        """Start the tail anew, so that it only ever quotes the present run."""
        self._tail.clear()

    def close(self) -> None:
        self._file.close()

    def _turn_over(self) -> None:
        self._file.close()
        self._path.replace(self._path.with_name(self._path.name + ".1"))
        self._file = self._path.open("ab", buffering=0)
        self._size = 0


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
