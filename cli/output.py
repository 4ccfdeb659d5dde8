"""How every command speaks: results on stdout (with `--json` as JSON documents, and nothing else), narration and errors
on stderr, and an exit code that says how it went (`cli.main` tells people what each means)."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from checkout.errors import SettingsError

NO, USAGE, UNREACHABLE, BROKEN = range(1, 5)
_INTERRUPTED, _READER_GONE = 130, 141
Json = dict[str, Any]


@dataclass(eq=False)
class CommandFailed(Exception):
    """Ends the command with an exit code, a title, and a sentence on what to do or what went wrong."""

    exit_code: int
    title: str
    detail: str = ""
    problem: Json = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.title}: {self.detail}" if self.detail else self.title


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise


class Output:
    """One command's voice. Text is printed as it is: a folder may be called `[red]`."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.out, self.err = _Console(markup=False), _Console(stderr=True, markup=False)

    def json(self, document: Any) -> None:
        text = json.dumps(document, ensure_ascii="utf" not in (sys.stdout.encoding or "").lower())
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def show(self, *renderables: RenderableType) -> None:
        """For people; silent with --json. Long words (keys, addresses) are not broken: they get copied."""
        if not self.as_json:
            for renderable in renderables:
                self.out.print(renderable, soft_wrap=isinstance(renderable, str | Text))

    def result(self, document: Any, *shown: str | Callable[[Any], RenderableType], ok: object = True) -> None:
        """Prints the command's result: the document with --json; else, for people, each of `shown`, texts and
        functions of the document. Ends the command with exit code 1 when it is not `ok`."""
        if self.as_json:
            self.json(document)
        else:
            self.show(*(one if isinstance(one, str) else one(document) for one in shown))
        if not ok:
            raise typer.Exit(NO)

    def note(self, text: str) -> None:
        """What is happening, on stderr; silent with --json."""
        if not self.as_json:
            self.err.print(text, soft_wrap=True)

    @contextmanager
    def working(self, text: str) -> Iterator[Callable[[str], None]]:
        """A spinner on a terminal, nothing elsewhere. Yields a function that changes its text."""
        if self.as_json or not self.err.is_terminal:
            yield lambda _: None
            return
        with self.err.status(text) as status:
            yield status.update

    def failure(self, failed: CommandFailed) -> None:
        if self.as_json:
            error = {"title": failed.title, "detail": failed.detail, **failed.problem}
            self.json({"ok": False, "exit_code": failed.exit_code, "error": error})
            return
        message = Text(failed.title, style="bold red")
        if failed.detail:
            message.append(f"\n{failed.detail}", style="not bold default")
        self.err.print(message, soft_wrap=True)


@contextmanager
def speaking(as_json: bool) -> Iterator[Output]:
    """Wraps every command: whatever goes wrong becomes a sentence, and an exit code that stands for nothing else."""
    output = Output(as_json)
    try:
        yield output
        return
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except CommandFailed as error:
        failed = error
    except SettingsError as error:
        failed = CommandFailed(BROKEN, "Wrong settings", str(error))
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None
    except BrokenPipeError:
        _drop_unwritable()
        raise typer.Exit(_READER_GONE) from None
    except OSError as error:
        _drop_unwritable()
        failed = CommandFailed(BROKEN, "The command failed", str(error.strerror or error))
    except Exception as error:
        traceback.print_exc()
        failed = CommandFailed(BROKEN, "The command failed, by a fault of its own", f"{type(error).__name__}: {error}")
    with suppress(OSError):
        output.failure(failed)
    raise typer.Exit(failed.exit_code) from None


def _drop_unwritable() -> None:
    """Throws away output that cannot be written. The interpreter would try again when it ends, and choose the exit
    code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
