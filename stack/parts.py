"""The parts of a stack: the table of all there are, and one as data for the supervisor."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Kind:
    """A row of the table. PostgreSQL and Temporal have a file of their own here; every other part is
    `python -m module`: a service that is ready when `/readyz` of its port says so, or a task if it has none."""

    colour: str
    """Of its name on the terminal."""
    ports: tuple[str, ...] = ()
    """Fields of `Settings`."""
    module: tuple[str, ...] = ()
    """With its arguments."""
    needs: tuple[str, ...] = ()
    """Parts that must be ready first."""
    stop_within: float = 10.0
    """Seconds."""
    has_role: bool = False
    """It logs in to the database by a role of its own (`db.roles`)."""


PARTS: Mapping[str, Kind] = {
    "postgres": Kind("blue", ("postgres_port",)),
    "temporal": Kind("magenta", ("temporal_port", "temporal_ui_port")),
    "setup": Kind("white", (), ("db", "setup"), ("postgres",)),
    "payment": Kind("yellow", ("payment_port",), ("payment_mock",), ("setup",), has_role=True),
    "worker": Kind("green", ("worker_port",), ("worker",), ("setup", "temporal"), 15.0, has_role=True),
    "gateway": Kind("cyan", ("api_port",), ("api",), ("setup", "temporal"), has_role=True),
}
"""In the order in which they are named and started. `setup` migrates and seeds."""
PORT_FIELDS = tuple(name for kind in PARTS.values() for name in kind.ports)

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
