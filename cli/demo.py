"""`checkout demo`: the promises, shown in one terminal in less than a minute."""

import os
from contextlib import ExitStack
from typing import Annotated

import typer
from anyio.from_thread import start_blocking_portal
from rich.text import Text

from cli import options, render
from cli.client import Shop
from cli.locate import locate, settings
from cli.output import NO, UNREACHABLE, CommandFailed, speaking
from cli.tour import Tour
from stack.config import StackConfig
from stack.environment import forget_libpq
from stack.errors import StackError
from stack.stack import Stack


def demo(
    sku: Annotated[str, typer.Option(help="What is bought.")] = "pen",
    as_json: options.Json = False,
) -> None:
    """A tour: buy and pay, kill the worker in the middle of a payment, press Buy twice, audit.

    Starts the stack when it does not run, and stops it again afterwards. Needs nothing but this terminal.

    [bold]Example[/bold]

        checkout demo

    Exit codes: 0 every promise was kept, 1 one was broken, 3 the stack did not start.
    """
    with speaking(as_json) as output, ExitStack() as cleanup:
        started = not locate().is_local
        if started:
            config = StackConfig.from_settings(settings())
            if config.database_url is None:
                forget_libpq(os.environ)
            output.note(f"Nothing runs on {config.data_dir} yet. Starting everything…")
            try:
                with output.working("Starting everything…"):
                    # In a thread of its own, which lives as long as the stack does: the kernel ends the parts with it.
                    portal = cleanup.enter_context(start_blocking_portal())
                    cleanup.enter_context(portal.wrap_async_context_manager(Stack(config)))
            except StackError as error:
                raise CommandFailed(UNREACHABLE, "The stack did not start", str(error)) from None
            output.note(f"It runs; what its parts say is in {config.data_dir}/logs")
        with Shop(locate()) as shop:
            summary = {**Tour(shop, output, sku).run(), "started_the_stack": started}
        praise = Text("Every promise was kept." if summary["ok"] else "", style="bold green")
        output.result(summary, "", lambda _: praise, lambda tour: render.facts(tour["links"].items()))
        if started:
            output.note("Stopping what this tour started. `checkout up` starts it for you, data and all.")
        if not summary["ok"]:
            raise typer.Exit(NO)
