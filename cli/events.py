"""`checkout events`: what happens to orders, as it happens."""

from typing import Annotated

import typer

from cli import options
from cli.output import speaking


def events(
    reference: Annotated[
        str | None, typer.Argument(metavar="[ORDER|SESSION|KEY]", help="Only this order, from its beginning.")
    ] = None,
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Show what happens to orders, as it happens; all of them, or one until it ends.

    [bold]Examples[/bold]

        checkout events

        checkout events birthday-1 --json

    Exit codes: 0 the order has ended, 1 refused or no such order, 2 usage, 3 nobody answers. With --json: one document
    an event. Ctrl-C ends it.
    """
    with speaking(as_json) as output:
        from cli import news, render
        from cli.client import Shop
        from cli.locate import locate

        location = locate(url, token)
        path = news.ALL_ORDERS
        if reference is not None:
            with Shop(location) as shop:
                path = news.of_order(str(shop.find_order(reference)["order_id"]))
        else:
            output.note("Waiting for orders. Ctrl-C ends it.")
        is_lost = False
        for event in news.listen(location, path):
            if event is None:
                if not is_lost:
                    output.note("Reconnecting…")
                is_lost = True
                continue
            is_lost = False
            if as_json:
                output.json(event)
            else:
                output.show(render.event(event))
