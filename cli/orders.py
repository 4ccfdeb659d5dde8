"""`checkout status` and `checkout orders`: look at one order, or at many."""

import time
from typing import Annotated, Any

import typer

from cli import options
from cli.output import speaking
from cli.pay import UNDECIDED

_FOLLOW_EVERY, _WATCH_EVERY = 0.5, 2.0  # seconds, where no events come
_LONGEST = 15.0  # seconds between two looks, even where events come
_SETTLE = 0.2  # seconds to let several orders change before the list is asked for again
Json = dict[str, Any]


def status(
    reference: Annotated[str, typer.Argument(metavar="ORDER|SESSION|KEY", help="Which order.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay until nothing more can happen.")] = False,
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Show an order: status, payment, dispatch progress and timeline.

    [bold]Examples[/bold]

        checkout status ord_0123456789abcdef0123456789abcdef --follow

        checkout status birthday-1 --json

    Exit codes: 0 found, 1 no such order, 2 usage, 3 nobody answers. With --follow and --json: one document a change.
    """
    with speaking(as_json) as output:
        from cli import render
        from cli.client import Shop
        from cli.locate import locate
        from cli.news import News, of_order

        with Shop(locate(url, token)) as shop:
            order = shop.find_order(reference)
            if as_json:
                output.json(order)
            elif not (follow and output.out.is_terminal):
                output.show(render.order(order))
            if not follow:
                return
            with News(shop.location, of_order(str(order["order_id"]))) as news:

                def look_again(order: Json) -> Json:
                    # The bar of a parcel being packed moves by itself.
                    news.wait(_FOLLOW_EVERY, _FOLLOW_EVERY if order.get("status") == "fulfilled" else _LONGEST)
                    return shop.order(str(order["order_id"]))

                if not as_json and output.out.is_terminal:
                    from rich.live import Live

                    with Live(render.order(order), console=output.out, auto_refresh=False) as live:
                        while not is_over(order):
                            order = look_again(order)
                            live.update(render.order(order), refresh=True)
                    return
                while not is_over(order):
                    before, order = order, look_again(order)
                    if order == before:
                        continue
                    if as_json:
                        output.json(order)
                    elif order.get("timeline") != before.get("timeline"):
                        output.show(render.timeline((order.get("timeline") or [])[len(before["timeline"]) :]))


def is_over(order: Json) -> bool:
    """Whether nothing more can happen by itself: dispatched, or ended otherwise."""
    if order.get("status") in UNDECIDED:
        return False
    return order.get("status") != "fulfilled"


def orders(
    status: Annotated[
        str | None, typer.Option(help="Only these: pending, awaiting_payment, fulfilled, dispatched, …")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many, newest first.")] = 20,
    query: Annotated[str | None, typer.Option("--query", "-q", help="Part of an order id or of a key.")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay, and show every change.")] = False,
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """List orders, newest first.

    [bold]Examples[/bold]

        checkout orders --status awaiting_payment

        checkout orders --watch

    Exit codes: 0 listed, 1 refused (the operator token), 2 usage, 3 nobody answers.
    """
    with speaking(as_json) as output:
        from cli import render
        from cli.client import Shop
        from cli.locate import locate
        from cli.news import ALL_ORDERS, News

        with Shop(locate(url, token)) as shop:

            def look() -> Json:
                return shop.orders(status=status, limit=limit, q=query)

            page = look()
            if not watch:
                if as_json:
                    output.json(page)
                    return
                output.show(render.orders(page.get("orders") or []))
                if page.get("next"):
                    output.note("There are more: raise --limit, or narrow with --status and --query.")
                return
            with News(shop.location, ALL_ORDERS) as news:

                def look_again() -> Json:
                    news.wait(_WATCH_EVERY, _LONGEST)
                    time.sleep(_SETTLE)
                    return look()

                if as_json:
                    output.json(page)
                    while True:
                        before, page = page, look_again()
                        if page != before:
                            output.json(page)
                from rich.live import Live

                with Live(render.orders(page.get("orders") or []), console=output.out, auto_refresh=False) as live:
                    while True:
                        live.update(render.orders(look_again().get("orders") or []), refresh=True)
