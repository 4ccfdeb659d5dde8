"""How every command speaks: results on stdout, narration and errors on stderr, and four exit codes.

    0  it is done
    1  the answer is no: out of stock, declined, order failed, audit found violations, refused
    2  the command was not understood
    3  nobody answers: the gateway (or the payment service) cannot be reached

With `--json`, stdout holds one JSON document (a stream of them with --follow and --watch) and nothing else.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.status import Status

OK, NO, USAGE, UNREACHABLE = 0, 1, 2, 3


class CommandFailed(Exception):
    """Ends the command with an exit code, a title, and a sentence on what to do or what went wrong."""

    def __init__(self, exit_code: int, title: str, detail: str = "", problem: dict[str, Any] | None = None) -> None:
        super().__init__(f"{title}: {detail}" if detail else title)
        self.exit_code = exit_code
        self.title = title
        self.detail = detail
        self.problem = problem or {}


class Output:
    """One command's voice. Consoles are made when first used: rich is not free to import."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def out(self) -> "Console":
        from rich.console import Console

        return Console()

    @cached_property
    def err(self) -> "Console":
        from rich.console import Console

        return Console(stderr=True)

    def json(self, document: Any) -> None:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def show(self, *renderables: "RenderableType") -> None:
        """For people; silent with --json. Long words (keys, addresses) are not broken: they get copied."""
        if not self.as_json:
            for renderable in renderables:
                self.out.print(renderable, soft_wrap=isinstance(renderable, str))

    def note(self, text: str) -> None:
        """What is happening, on stderr; silent with --json."""
        if not self.as_json:
            self.err.print(text, soft_wrap=True)

    @contextmanager
    def working(self, text: str) -> Iterator["Status | None"]:
        """A spinner on a terminal, nothing elsewhere."""
        if self.as_json or not self.err.is_terminal:
            yield None
            return
        with self.err.status(text) as status:
            yield status

    def failure(self, failed: CommandFailed) -> None:
        if self.as_json:
            error = {"title": failed.title, "detail": failed.detail, **failed.problem}
            self.json({"ok": False, "exit_code": failed.exit_code, "error": error})
            return
        from rich.text import Text

        message = Text(failed.title, style="bold red")
        if failed.detail:
            message.append(f"\n{failed.detail}", style="not bold default")
        self.err.print(message, soft_wrap=True)


@contextmanager
def speaking(as_json: bool) -> Iterator[Output]:
    """The frame of every command: failures become their message and exit code, Ctrl-C becomes 130."""
    output = Output(as_json)
    try:
        yield output
    except CommandFailed as failed:
        output.failure(failed)
        raise typer.Exit(failed.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
