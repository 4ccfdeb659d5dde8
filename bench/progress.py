"""How far a long run is, on stderr: a bar on a terminal, else a line for each new thing."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Phase = Callable[[str, int, int], None]
"""Hears (what is done, how much of it, of how much)."""


def silent(name: str, done: int, total: int) -> None:
    """A `Phase` that nobody listens to."""


@contextmanager
def showing() -> Iterator[Phase]:
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        # Twice a second is enough for the eye; the default ten times is CPU taken from what is measured.
        with Progress(*columns, console=Console(stderr=True), refresh_per_second=2, transient=True) as bar:
            task = bar.add_task("starting", total=None)
            yield lambda name, done, total: bar.update(task, description=name, completed=done, total=total)
        return
    began = time.monotonic()
    told: deque[str] = deque(maxlen=2)  # two things may go on at a time

    def line(name: str, done: int, total: int) -> None:
        if name not in told:
            told.append(name)
            print(f"{time.monotonic() - began:6.0f} s  {name}", file=sys.stderr, flush=True)

    yield line
