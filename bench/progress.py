"""How far a long run is, on stderr: a bar on a terminal, else a line for each new thing."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.measure import Phase


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
    began, last = time.monotonic(), ""

    def line(name: str, done: int, total: int) -> None:
        nonlocal last
        if name != last:
            last = name
            sys.stderr.write(f"{time.monotonic() - began:6.0f} s  {name}\n")
            sys.stderr.flush()

    yield line
