"""A `checkout up` of our own, for a demonstration without a second terminal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cli.locate import Location, locate
from cli.output import UNREACHABLE, CommandFailed
from stack.process import bound_to_parent

_START_WITHIN, _STOP_WITHIN = 120.0, 30.0  # seconds
_LOOK_EVERY = 0.2
_TAIL = 12  # lines of its output that are shown when it fails


@contextmanager
def stack_running(data_dir: Path) -> Iterator[Path]:
    """Start `checkout up`, wait until the gateway is ready, and stop it again at the end. Yields its log file.

    Raises `CommandFailed` with the last lines of its output when it does not come up.
    """
    log = data_dir / "logs" / "demo.log"
    with _private(log) as sink:
        # In our own process group: Ctrl-C reaches it as well, and it stops what it started by itself. So does our end,
        # however it comes.
        child = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "up"],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, "CHECKOUT_DATA_DIR": str(data_dir)},
            preexec_fn=bound_to_parent(signal.SIGTERM),
        )
    try:
        _wait_ready(child, log)
        yield log
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _private(log: Path) -> BinaryIO:
    """Open for writing what nobody else may read: the operator token is told there."""
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        sink = os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        os.fchmod(sink.fileno(), 0o600)  # one that an earlier version left open to all
    except OSError as error:
        raise CommandFailed(UNREACHABLE, "The data directory cannot be written", f"{log}: {error.strerror}") from None
    return sink


def _wait_ready(child: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_WITHIN
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise CommandFailed(UNREACHABLE, "`checkout up` ended", _tail(log))
        place = locate()
        if place.is_local and is_ready(place):
            return
        time.sleep(_LOOK_EVERY)
    raise CommandFailed(UNREACHABLE, "`checkout up` did not get ready", _tail(log))


def is_ready(place: Location) -> bool:
    """Whether every part of a local stack runs and the gateway says that it can serve."""
    import httpx

    if not {"gateway", "worker"} <= place.pids.keys():
        return False
    try:
        return httpx.get(f"{place.gateway_url}/readyz", timeout=3, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([*lines[-_TAIL:], f"All of it: {log}"])
