"""Whom PostgreSQL runs as, which refuses root: another user who can reach data and program, else (below `/root`, say) a
user namespace in which root is mapped to an ordinary uid. We make no system users and open no directories."""

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from stack.errors import StackError
from stack.parts import Identity

_REACHABLE = 'cd "$1" && exec "$2" --version'


def unprivileged(program: Path, directory: Path, *, user: int) -> Identity:
    """Whom `user` (an effective uid) can run `program` as, on data of its own below `directory`. Raises `StackError` if
    as nobody."""
    if user != 0:
        return Identity()
    return first_able((_another_user(), _user_namespace()), program, directory)


def first_able(identities: Iterable[Identity | None], program: Path, directory: Path) -> Identity:
    """The first of `identities` who can run it. Raises `StackError` if none can."""
    for identity in identities:
        if identity is not None and _can_run(identity, program, directory):
            return identity
    raise StackError(
        f"PostgreSQL does not run as root, and no other user can reach {directory}: run `make up` as an "
        "ordinary user, set CHECKOUT_DATA_DIR to a directory below /var/tmp, or DATABASE_URL to a PostgreSQL "
        "of your own."
    )


def give(directory: Path, identity: Identity) -> None:
    """Make `directory`, and nothing outside it, belong to `identity`. Only root can and needs to."""
    uid, gid = identity.uid or 0, identity.gid or 0
    if os.geteuid() != 0 or directory.stat().st_uid == uid:
        return
    # The top last: if we are interrupted, the next start sees the old owner there and goes over it again.
    for folder, _, files in os.walk(directory, topdown=False):
        for path in [*(os.path.join(folder, name) for name in files), folder]:
            os.chown(path, uid, gid, follow_symlinks=False)


def _another_user() -> Identity | None:
    """The user behind `sudo`, else the machine's `postgres`, else `nobody`. initdb needs one with a name."""
    for name in (os.environ.get("SUDO_USER", ""), "postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            if user.pw_uid != 0:
                return Identity(user.pw_uid, user.pw_gid)
    return None


def _user_namespace() -> Identity | None:
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    inside = _another_user() or Identity(1000, 1000)
    return Identity(prefix=(unshare, "--user", f"--map-user={inside.uid}", f"--map-group={inside.gid}"))


def _can_run(identity: Identity, program: Path, directory: Path) -> bool:
    """Try it: whatever stands in the way (modes, ACLs, noexec, a container's policy) shows by failing."""
    try:
        # A directory of this identity's own next to the data is what it will really have to enter.
        probe = directory / ".reach"
        probe.mkdir(mode=0o700, exist_ok=True)
        try:
            os.chown(probe, identity.uid or 0, identity.gid or 0)
            done = subprocess.run(  # noqa: S603 - our own argv
                [*identity.prefix, "/bin/sh", "-c", _REACHABLE, "sh", str(probe), str(program)],
                cwd="/",
                capture_output=True,
                timeout=20,
                check=False,
                **identity.for_subprocess,
            )
        finally:
            probe.rmdir()
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
