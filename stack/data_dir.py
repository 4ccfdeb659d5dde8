"""The data directory of a running stack: its lock, `stack.json`, which tells others what runs where, and small files
that are private to their owner and never half-written."""

import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stack.errors import DataDirInUse, StackError

_STATE = "stack.json"


def write_private(path: Path, text: str) -> None:
    """Replace `path` in one step by a file only its owner can read (mode 0600)."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise


def kept_secret(data_dir: Path, name: str, prefix: str = "") -> str:
    """The secret of this name, made on first use. The caller holds the data directory's lock."""
    path = data_dir / "secrets" / name
    with suppress(FileNotFoundError):
        if kept := path.read_text().strip():
            path.chmod(0o600)
            return kept
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = prefix + secrets.token_urlsafe(24)
    write_private(path, secret + "\n")
    return secret


@contextmanager
def held(data_dir: Path) -> Iterator[bool]:
    """The data directory, made and locked: the kernel gives the lock back however its holder ends. Yields whether the
    last stack here ended without cleaning up; in the end `stack.json` goes. Raises `DataDirInUse`, `StackError`."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(data_dir / "stack.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StackError(
            f"The data directory {data_dir} cannot be used ({error.strerror}): "
            "make it yours, or set CHECKOUT_DATA_DIR to another."
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
            raise DataDirInUse(
                f"A stack already runs on {data_dir} (pid {pid}): stop it with Ctrl-C or `kill {pid}`, "
                "or set CHECKOUT_DATA_DIR to another directory and CHECKOUT_*_PORT to other ports."
            ) from error
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        try:
            yield (data_dir / _STATE).exists()
        finally:
            with suppress(OSError):
                (data_dir / _STATE).unlink(missing_ok=True)
    finally:
        os.close(lock)


def write_state(data_dir: Path, state: dict[str, Any]) -> None:
    with suppress(OSError):  # a full disk must not stop the shop; readers check the pids anyway
        write_private(data_dir / _STATE, json.dumps(state, indent=2) + "\n")


def read_state(data_dir: Path) -> dict[str, Any] | None:
    """What `stack.json` says, or None when no stack runs there (a crashed one's file counts as none)."""
    try:
        state: dict[str, Any] = json.loads((data_dir / _STATE).read_text())
        descriptor = os.open(data_dir / "stack.lock", os.O_RDWR)
    except (OSError, ValueError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return state
    finally:
        os.close(descriptor)
    return None
