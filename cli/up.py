"""`checkout up`: run a stack in the foreground until Ctrl-C, and show what it does."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.text import Text

from checkout.errors import CheckoutError
from runtime.settings import load_settings
from stack.config import StackConfig
from stack.parts import PARTS
from stack.stack import Stack
from stack.supervisor import Event

_SAME_PRESS = 1.0  # seconds; a terminal and a parent process may both pass on one Ctrl-C
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WIDTH = max(map(len, PARTS))
_STYLES = {"ready": "dim", "trouble": "red"}


def up(
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where data, logs and secrets are kept. Default: CHECKOUT_DATA_DIR, else var.", show_default=False
        ),
    ] = None,
    parts: Annotated[
        str | None,
        typer.Option(help=f"Start only these, comma-separated: {','.join(PARTS)}.", show_default=False),
    ] = None,
) -> None:
    """Start everything: PostgreSQL, Temporal, the payment service, the worker and the gateway.

    Each part is restarted when it dies. [bold]Ctrl-C[/bold] stops them all; a second one kills them. Data stays.

    A server of your own takes the place of ours: set DATABASE_URL, TEMPORAL_ADDRESS, or STRIPE_SECRET_KEY,
    STRIPE_API_BASE and STRIPE_WEBHOOK_SECRET. Ports are settings: CHECKOUT_API_PORT (8082),
    CHECKOUT_PAYMENT_PORT (8086), CHECKOUT_TEMPORAL_PORT (7233), CHECKOUT_TEMPORAL_UI_PORT (8233),
    CHECKOUT_POSTGRES_PORT (5433), CHECKOUT_WORKER_PORT (8083).

        checkout up
        CHECKOUT_POSTGRES_PORT=6000 checkout up --parts postgres,setup --data-dir /var/tmp/shop

    Exit codes: 0 stopped, 1 it could not start, 2 usage, 130 killed.
    """
    terminal = Terminal()
    try:
        settings = load_settings(**({"CHECKOUT_DATA_DIR": data_dir} if data_dir is not None else {}))
        config = StackConfig(settings=settings)
        if parts is not None:
            config = replace(config, parts=_parse(parts))
        asyncio.run(_run(config, terminal))
    except CheckoutError as error:
        terminal.settle()
        sys.stdout.flush()
        Terminal(sys.stderr).say(Text(str(error), "red"))
        raise typer.Exit(1) from None


def _parse(parts: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in parts.split(",") if name.strip())
    unknown = [name for name in names if name not in PARTS]
    if unknown or not names:
        raise typer.BadParameter(f"choose from {', '.join(PARTS)}", param_hint="--parts")
    return names


async def _run(config: StackConfig, terminal: "Terminal") -> None:
    """Start, wait for a signal, stop. Raises `StackError` when it cannot start."""
    stack = Stack(config, terminal)
    asked_to_stop = _on_signals(stack)
    begun = time.monotonic()
    starting = asyncio.create_task(stack.start())
    stopping = asyncio.create_task(asked_to_stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        terminal.settle()
        starting.result()
        terminal.say(Text(_summary(stack, time.monotonic() - begun)))
        await stopping
        terminal.say(Text("Stopping…"))
        await stack.stop()
    else:
        starting.cancel()
        await asyncio.wait({starting})
        terminal.settle()
    terminal.say(Text(f"Stopped. Data stays in {_shown(config.data_dir)}/"))


def _on_signals(stack: Stack) -> asyncio.Event:
    """Returns an event that the first Ctrl-C (or SIGTERM, or a closed terminal) sets. The second one kills everything.

    A signal that was ignored when this process began stays ignored: `nohup` ignores SIGHUP, a shell the SIGINT of its
    background jobs.
    """
    asked_to_stop = asyncio.Event()
    first_at = 0.0

    def on_signal() -> None:
        nonlocal first_at
        if not asked_to_stop.is_set():
            first_at = time.monotonic()
            asked_to_stop.set()
        elif time.monotonic() - first_at > _SAME_PRESS:
            stack.kill_now()
            os._exit(130)

    for number in _STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return asked_to_stop


class Terminal:
    """A screen for people: progress while it starts, the parts' own lines with their names in front, trouble. It has
    colours and a spinner on a terminal, plain lines elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stdout, highlight=False, soft_wrap=True)
        self._status = self._console.status("")
        self._starting: list[str] = []

    def __call__(self, part: str, event: Event, text: str) -> None:
        if event == "starting":
            self._spin([*self._starting, part])
            return
        self.say(Text.from_ansi(text) if event == "line" else Text(text, _STYLES[event]), part)
        if event == "ready":
            self._spin([name for name in self._starting if name != part])

    def settle(self) -> None:
        """Ends the spinner: nothing is being started any more."""
        self._spin([])

    def say(self, text: Text, part: str = "") -> None:
        """Prints a line about a part, or, without one, the supervisor's own."""
        if part:
            text = Text.assemble((f"{part:<{_WIDTH}} | ", PARTS[part].colour), text)
        # Whoever read our output may be gone (`checkout up | head`); the shop stays open all the same. (rich makes a
        # SystemExit of it, once, and is quiet from then on.)
        with contextlib.suppress(OSError, ValueError, SystemExit):
            self._console.print(text)

    def _spin(self, starting: list[str]) -> None:
        self._starting = starting
        if starting and self._console.is_terminal:
            self._status.update(f"Starting {', '.join(starting)}…")
            self._status.start()
        else:
            self._status.stop()


def _summary(stack: Stack, seconds: float) -> str:
    """What people read once everything runs: the addresses, and what to do next. `seconds` is how long the start
    took."""
    running, urls = stack.config.running, stack.urls
    shop, is_open = urls["gateway"], "gateway" in running
    addresses = (
        ("gateway", "Storefront", shop),
        ("gateway", "API", f"{shop}/docs"),
        ("gateway", "Operator page", f"{shop}/admin"),
        ("temporal", "Temporal", urls["temporal_ui"]),
        ("payment", "Payment service", urls["payment"]),
    )
    lines = [f"{'Everything runs,' if is_open else ', '.join(running) + ': ready'} after {seconds:.1f} s.", ""]
    lines += [f"  {name:<15}  {address}" for part, name, address in addresses if part in running]
    if is_open:
        lines += [
            "",
            "  A first checkout, and one that can be repeated safely:",
            f"    curl -X POST {shop}/checkout",
            f"    curl -X POST {shop}/checkout/abcde-12345",
            "",
            f"  Operator token   {stack.admin_token}",
        ]
    return "\n".join(["", *lines, "", f"Ctrl-C stops everything; data stays in {_shown(stack.config.data_dir)}/", ""])


def _shown(path: Path) -> str:
    """A path as people would write it: relative to where they are, if it is below."""
    with contextlib.suppress(ValueError, OSError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
