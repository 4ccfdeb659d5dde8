"""`checkout up`: run a stack in the foreground until Ctrl-C.

Exit codes: 0 stopped when told to, 1 it could not start (one sentence says why), 2 usage, 130 killed by a second
Ctrl-C.
"""

import asyncio
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from checkout.errors import CheckoutError
from runtime.settings import load_settings
from stack.config import PARTS, StackConfig
from stack.environment import forget_libpq
from stack.stack import Stack
from stack.terminal import Terminal, shown, summary

_SAME_PRESS = 1.0  # seconds; a terminal and a parent process may both pass on one Ctrl-C
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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

    [bold]Examples[/bold]

        checkout up

        CHECKOUT_POSTGRES_PORT=6000 checkout up --parts postgres,setup --data-dir /var/tmp/shop

    Exit codes: 0 stopped, 1 it could not start, 2 usage, 130 killed.
    """
    terminal = Terminal()
    try:
        settings = load_settings(**({"CHECKOUT_DATA_DIR": data_dir} if data_dir is not None else {}))
        config = StackConfig.from_settings(settings)
        if parts is not None:
            config = replace(config, parts=_parse(parts))
        if config.database_url is None:
            forget_libpq(os.environ)
        code = asyncio.run(_run(config, terminal))
    except CheckoutError as error:
        terminal.settle()
        sys.stdout.flush()
        Terminal(sys.stderr).note(str(error), "red")
        code = 1
    raise typer.Exit(code)


def _parse(parts: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in parts.split(",") if name.strip())
    unknown = [name for name in names if name not in PARTS]
    if unknown or not names:
        raise typer.BadParameter(f"choose from {', '.join(PARTS)}", param_hint="--parts")
    return names


async def _run(config: StackConfig, terminal: Terminal) -> int:
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
        terminal.note(summary(stack, time.monotonic() - begun))
        await stopping
        terminal.note("Stopping…")
        await stack.stop()
    else:
        starting.cancel()
        await asyncio.wait({starting})
        terminal.settle()
    terminal.note(f"Stopped. Data stays in {shown(config.data_dir)}/")
    return 0


def _on_signals(stack: Stack) -> asyncio.Event:
    """An event that the first Ctrl-C (or SIGTERM, or a closed terminal) sets; the second one kills everything.

    What was ignored when we came stays ignored: `nohup` says so of SIGHUP, a shell of a background job's SIGINT.
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
