"""`checkout demo`: the promises, shown in one terminal in less than a minute."""

from contextlib import ExitStack
from typing import Annotated

import typer

from cli import options
from cli.output import NO, CommandFailed, speaking


def demo(
    sku: Annotated[str, typer.Option(help="What is bought.")] = "pen",
    as_json: options.Json = False,
) -> None:
    """A tour: buy and pay, kill the worker in the middle of a payment, press Buy twice, audit.

    Starts the stack when it does not run, and stops it again afterwards. Needs nothing but this terminal.

    [bold]Example[/bold]

        checkout demo

    Exit codes: 0 every promise was kept, 1 one was broken, 2 usage, 3 the stack did not start.
    """
    with speaking(as_json) as output, ExitStack() as cleanup:
        from cli.child import is_ready, stack_running
        from cli.client import Shop
        from cli.locate import locate
        from cli.tour import Tour

        place = locate()
        started = not place.is_local
        if started:
            output.note(f"Nothing runs on {place.data_dir} yet. Starting everything…")
            with output.working("checkout up"):
                log = cleanup.enter_context(stack_running(place.data_dir.absolute()))
            output.note(f"Running; its output is in {log}")
            place = locate()
        elif not is_ready(place):
            raise CommandFailed(NO, "The stack is not ready", "Look at its terminal, or stop it and try again.")
        with Shop(place) as shop:
            summary = Tour(shop, output, sku).run()
        summary["started_the_stack"] = started
        if as_json:
            output.json(summary)
        else:
            from cli import render

            output.show("", "[bold green]Every promise was kept.[/]" if summary["ok"] else "")
            output.show(render.facts(summary["links"].items()))
            if started:
                output.note("Stopping what this tour started. `checkout up` starts it for you, data and all.")
        if not summary["ok"]:
            raise typer.Exit(NO)
