"""What `checkout up` shows: progress while it starts, the parts' own lines with their names before them, trouble."""

import contextlib
import sys
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from stack.logs import Screen
from stack.stack import Stack

_COLOURS = {
    "postgres": "blue",
    "temporal": "magenta",
    "setup": "white",
    "payment": "yellow",
    "worker": "green",
    "gateway": "cyan",
}
_WIDTH = max(map(len, _COLOURS))


class Terminal(Screen):
    """For people. Colours and a spinner on a terminal, plain lines elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stdout, highlight=False, soft_wrap=True)
        self._status = self._console.status("")
        self._starting: list[str] = []

    def line(self, part: str, text: str) -> None:
        self._tell(part, Text.from_ansi(text))

    def starting(self, part: str) -> None:
        self._starting.append(part)
        self._spin()

    def ready(self, part: str, seconds: float) -> None:
        if part in self._starting:
            self._starting.remove(part)
        verb = "done" if part == "setup" else "ready"
        self._tell(part, Text(f"{verb} after {seconds:.1f} s", "dim"))
        self._spin()

    def trouble(self, part: str, sentence: str) -> None:
        self._tell(part, Text(sentence, "red"))

    def note(self, text: str, style: str = "") -> None:
        """A line of the supervisor's own."""
        self._say(Text(text, style))

    def settle(self) -> None:
        """Nothing is being started any more."""
        self._starting.clear()
        self._spin()

    def _spin(self) -> None:
        if self._starting and self._console.is_terminal:
            self._status.update(f"Starting {', '.join(self._starting)}…")
            self._status.start()
        else:
            self._status.stop()

    def _tell(self, part: str, text: Text) -> None:
        self._say(Text.assemble((f"{part:<{_WIDTH}} | ", _COLOURS.get(part, "white")), text))

    def _say(self, text: Text) -> None:
        # Whoever read our output may be gone (`checkout up | head`); the shop stays open all the same. (rich makes a
        # SystemExit of it, once, and is quiet from then on.)
        with contextlib.suppress(OSError, ValueError, SystemExit):
            self._console.print(text)


def summary(stack: Stack, seconds: float) -> str:
    """What to do next, once everything runs. `seconds` is how long the start took."""
    running, urls = stack.config.running, stack.urls
    shop, is_open = urls["gateway"], "gateway" in running
    addresses = {
        "Storefront": shop if is_open else "",
        "API": f"{shop}/docs" if is_open else "",
        "Operator page": f"{shop}/admin" if is_open else "",
        "Temporal": urls["temporal_ui"] if "temporal" in running else "",
        "Payment service": urls["payment"] if "payment" in running else "",
    }
    lines = [f"{'Everything runs,' if is_open else ', '.join(running) + ': ready'} after {seconds:.1f} s.", ""]
    lines += [f"  {name:<15}  {address}" for name, address in addresses.items() if address]
    if is_open:
        lines += [
            "",
            "  A first checkout, and one that can be repeated safely:",
            f"    curl -X POST {shop}/checkout",
            f"    curl -X POST {shop}/checkout/abcde-12345",
            "",
            f"  Operator token   {stack.admin_token}",
        ]
    return "\n".join(["", *lines, "", f"Ctrl-C stops everything; data stays in {shown(stack.config.data_dir)}/", ""])


def shown(path: Path) -> str:
    """A path as people would write it: relative to where they are, if it is below."""
    with contextlib.suppress(ValueError, OSError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
