"""`checkout reset`: forget everything. Careful on purpose: it deletes files."""

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from cli.output import NO, CommandFailed, Output
from runtime.settings import load_settings
from stack.data_dir import held
from stack.errors import DataDirInUse, StackError

# `checkout up` leaves these in every data directory. A directory without them is not ours to empty.
MARKERS = ("stack.lock", "logs")


def reset(output: Output, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Delete all data of the local stack: database, Temporal's histories, secrets, logs.

    The stack must be stopped. Only the contents of the data directory (CHECKOUT_DATA_DIR, normally var/) go, and
    only if `checkout up` made it. Links are removed, never followed.

        checkout reset --yes && checkout up

    Exit codes: 0 empty now, 1 refused or not confirmed.
    """
    path = load_settings().data_dir.absolute()
    if not path.exists() and not path.is_symlink():
        output.result({"data_dir": str(path), "removed": []}, f"Nothing to delete: {path} does not exist.")
        return
    check_ours(path)
    try:
        with held(path):  # until it is empty, so that no stack starts in between
            entries = sorted(entry.name for entry in os.scandir(path))
            output.note(f"This deletes everything in {path}: {', '.join(entries)}")
            if not yes and (output.as_json or not typer.confirm("Delete it?", default=False, err=True)):
                raise CommandFailed(NO, "Nothing was deleted", "Say yes, or pass --yes.")
            empty(path)
    except StackError as error:
        title = "The stack is running" if isinstance(error, DataDirInUse) else "Cannot reset"
        raise CommandFailed(NO, title, str(error)) from None
    words = f"{path} is empty. `checkout up` starts from the beginning."
    output.result({"data_dir": str(path), "removed": entries}, words)


def check_ours(path: Path) -> None:
    """Raise `CommandFailed` unless `path` is a real directory that `checkout up` made, and holds neither this
    program nor the current or the home directory."""

    def refuse(why: str) -> CommandFailed:
        return CommandFailed(NO, "Refused", f"{path} {why}: delete it yourself if you mean it.")

    if path.is_symlink():
        raise refuse("is a symbolic link")
    if not path.is_dir():
        raise refuse("is not a directory")
    real = path.resolve()
    for precious in (Path.cwd().resolve(), Path.home().resolve(), Path(__file__).resolve()):
        if precious == real or precious.is_relative_to(real):
            raise refuse(f"holds {precious}")
    for marker in MARKERS:
        if (path / marker).is_symlink():
            raise refuse(f"is odd: its {marker} is a symbolic link")
        if not (path / marker).exists():
            raise refuse(f"was not made by `checkout up` (it has no {marker})")
    if (path / ".git").exists():
        raise refuse("is a git repository")


def empty(path: Path) -> None:
    """Delete the contents of `path`, not itself. The lock file goes last: until then the directory is held."""
    if not shutil.rmtree.avoids_symlink_attacks:
        raise CommandFailed(NO, "Refused", "This system cannot delete a directory without following links.")
    with os.scandir(path) as found:
        entries = sorted(found, key=lambda entry: entry.name == "stack.lock")
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
