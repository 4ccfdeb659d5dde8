"""Log lines that others can cause as often as they like: a flood of them must not be a flood of lines."""

import logging
import time
from collections import Counter
from collections.abc import Callable


class SparingLogger:
    """Of each kind of line at most one every `pause` seconds, with how many were left out since the last one."""

    def __init__(
        self, logger: logging.Logger, pause: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger, self._pause, self._clock = logger, pause, clock
        self._next: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def forget(self) -> None:
        """Nothing has been said yet."""
        self._next.clear()
        self._left_out.clear()

    def warning(self, kind: str, message: str, *arguments: object) -> None:
        self._log(logging.WARNING, kind, message, *arguments)

    def info(self, kind: str, message: str, *arguments: object) -> None:
        self._log(logging.INFO, kind, message, *arguments)

    def _log(self, level: int, kind: str, message: str, *arguments: object) -> None:
        now = self._clock()
        if now < self._next.get(kind, now):
            self._left_out[kind] += 1
            return
        self._next[kind] = now + self._pause
        left_out = self._left_out.pop(kind, 0)
        more = f" ({left_out} more like it since the last such line)" if left_out else ""
        self._logger.log(level, f"{message}{more}", *arguments)
