"""Disks of a test's own."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(path: Path, like: Path | None = None) -> Iterator[None]:
    """A file system of 32 MB at `path`, for whoever `like` belongs to. Skips the test where nobody may mount one."""
    path.mkdir()
    owner = (like or path).stat()
    options = f"size=32m,mode=700,uid={owner.st_uid},gid={owner.st_gid}"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, check=False)
    if mounted.returncode:
        # Only root may mount one, and `make test` does not ask for root; a full disk cannot be had any other way.
        pytest.skip("a disk of its own needs the right to mount one")
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)
