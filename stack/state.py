"""The data directory of a running stack: its lock, `stack.json`, which tells others what runs where, and small files
that are private to their owner and never half-written."""

import contextlib
import fcntl
import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

from stack.errors import DataDirInUse, StackError


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
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def kept_secret(data_dir: Path, name: str, prefix: str = "") -> str:
    """The secret of this name, made on first use. The caller holds the data directory's lock."""
    path = data_dir / "secrets" / name
    with contextlib.suppress(FileNotFoundError):
        if kept := path.read_text().strip():
            path.chmod(0o600)
            return kept
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = prefix + secrets.token_urlsafe(24)
    write_private(path, secret + "\n")
    return secret


class DataDir:
    """Held by one stack at a time. The kernel gives the lock back however the holder ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state_file = path / "stack.json"
        self._lock: int | None = None

    def acquire(self) -> bool:
        """Make the directory and take its lock. Answers whether the last stack here ended without cleaning up. Raises
        `DataDirInUse`; `StackError` if unwritable."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / "stack.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StackError(
                f"The data directory {self.path} cannot be used ({error.strerror}): "
                "make it yours, or set CHECKOUT_DATA_DIR to another."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise DataDirInUse(
                f"A stack already runs on {self.path} (pid {pid}): stop it with Ctrl-C or `kill {pid}`, "
                "or set CHECKOUT_DATA_DIR to another directory and CHECKOUT_*_PORT to other ports."
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._lock = descriptor
        return self.state_file.exists()

    def release(self) -> None:
        """Remove `stack.json` and give the lock back."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            self.state_file.unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None

    def write_state(self, state: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # a full disk must not stop the shop; readers check the pids anyway
            write_private(self.state_file, json.dumps(state, indent=2) + "\n")


def read_state(data_dir: Path) -> dict[str, Any] | None:
    """What `stack.json` says, or None when no stack runs there (a crashed one's file counts as none)."""
    try:
        state: dict[str, Any] = json.loads((data_dir / "stack.json").read_text())
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
