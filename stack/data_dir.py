"""The data directory of a running stack: its lock, `stack.json`, by which others find what runs where, and small files
that are private to their owner and never half-written."""

import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.settings import load_settings
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


@dataclass(frozen=True)
class Location:
    """Addresses without a slash at the end. `is_local`: a `checkout up` of this machine runs it; only then are
    `database_url` and `pids` (process ids by part) known."""

    gateway_url: str
    payment_url: str
    admin_token: str | None = field(default=None, repr=False)
    database_url: str | None = field(default=None, repr=False)
    pids: dict[str, int] = field(default_factory=dict)
    temporal_ui_url: str = ""
    is_local: bool = False


def locate(url: str | None = None, token: str | None = None) -> Location:
    """Find the stack of this data directory, or with `url` the gateway there. Raises `SettingsError`."""
    known = load_settings()
    stack: dict[str, Any] = {} if url else read_state(known.data_dir) or {}
    parts = {name: part for name, part in stack.items() if isinstance(part, dict)}

    def address(part: str, key: str, otherwise: str) -> str:
        return str(parts.get(part, {}).get(key) or otherwise).rstrip("/")

    return Location(
        gateway_url=(url or address("gateway", "url", f"http://localhost:{known.api_port}")).rstrip("/"),
        payment_url=address("payment", "url", known.stripe_api_base or f"http://localhost:{known.payment_port}"),
        temporal_ui_url=address("temporal", "ui_url", known.temporal_ui_url),
        admin_token=token or stack.get("admin_token") or known.admin_token.get_secret_value(),
        database_url=stack.get("database_url"),
        pids={name: part["pid"] for name, part in parts.items() if isinstance(part.get("pid"), int)},
        is_local="supervisor_pid" in stack,
    )
