"""The code of an earlier release, unpacked beside this one."""

import io
import subprocess
import tarfile
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[3]


class NoRelease(Exception):
    """There is none, or it cannot be read. The message says what to do."""


def last_release() -> str:
    """The newest tag before this commit. Raises `NoRelease`."""
    try:
        return _git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^").decode().strip()
    except NoRelease:
        raise NoRelease("No release is tagged yet (or this is no clone with its tags): name a commit.") from None


def unpack(reference: str, folder: Path) -> str:
    """All of its files, into `folder`; answers the commit. Raises `NoRelease`."""
    commit = _git("rev-parse", "--short", f"{reference}^{{commit}}").decode().strip()
    with tarfile.open(fileobj=io.BytesIO(_git("archive", "--format=tar", commit))) as archive:
        archive.extractall(folder, filter="data")
    return commit


def _git(*words: str) -> bytes:
    try:
        done = subprocess.run(["git", *words], cwd=_PROJECT, capture_output=True, check=False)
    except OSError as error:
        raise NoRelease(f"git cannot be run: {error}") from None
    if done.returncode != 0:
        raise NoRelease(f"git {' '.join(words)}: {done.stderr.decode().strip()}")
    return done.stdout
