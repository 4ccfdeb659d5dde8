"""A part of the stack, as data: what to run, with what around it, and how to tell that it works."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Probe = Callable[[], Awaitable[None]]
"""Returns when the part answers; raises `NotReady` while it does not."""


@dataclass(frozen=True)
class Identity:
    """Whom a process runs as. `prefix` is put before its command line (for `unshare`)."""

    uid: int | None = None
    gid: int | None = None
    prefix: tuple[str, ...] = ()

    @property
    def for_subprocess(self) -> dict[str, Any]:
        return {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One process of the stack. Times are seconds."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False, default_factory=dict)
    """The whole environment, secrets included: nothing is inherited."""
    cwd: Path | None = None
    identity: Identity = Identity()
    url: str = ""
    """Where it is, for people and for `stack.json`."""
    needs: tuple[str, ...] = ()
    """Parts that must be ready first. Those that do not need each other start, and stop, side by side."""
    prepare: Callable[[], Awaitable[None]] | None = None
    """Runs before every start of the process, restarts included."""
    ready: Probe | None = None
    """None: ready as soon as it runs."""
    once: bool = False
    """A task, not a service: ready when it has ended with exit code 0, and never restarted."""
    ready_within: float = 60.0
    steady_after: float = 5.0
    """How long it must have answered for earlier deaths to be forgotten."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within: float = 10.0
    """How long it may take after `stop_signal` before its whole process group is killed."""
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends it when the supervisor dies."""
    shows: Callable[[str], bool] | None = None
    """Which of its lines go to the terminal; None: every one. All go to its log file."""
