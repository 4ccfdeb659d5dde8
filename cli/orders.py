"""`checkout status` and `checkout orders`: look at one order, or at many."""

import time
from collections.abc import Callable, Iterator
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.live import Live

from cli import options, render
from cli.client import Shop
from cli.locate import locate
from cli.output import Json, Output, speaking
from cli.pay import ON_ITS_WAY, UNDECIDED

_MOVES = UNDECIDED | {ON_ITS_WAY, "fulfilled"}
_FOLLOW_EVERY, _WATCH_EVERY = 0.4, 1.0  # seconds between two looks


def status(
    reference: Annotated[str, typer.Argument(metavar="ORDER|SESSION|KEY", help="Which order.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay until nothing more can happen.")] = False,
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Show an order: status, payment, refunds and disputes, dispatch progress and timeline.

    [bold]Examples[/bold]

        checkout status ord_0123456789abcdef0123456789abcdef --follow

        checkout status birthday-1 --json

    Exit codes: 0 found, 1 no such order. With --follow and --json: one document a change.
    """
    with speaking(as_json) as output, Shop(locate(url, token)) as shop:
        order = shop.find_order(reference)

        def looks() -> Iterator[Json]:
            seen = order
            yield seen
            while follow and (seen["status"] in _MOVES or (seen.get("payment") or {}).get("refund_pending")):
                time.sleep(_FOLLOW_EVERY)
                seen = shop.order(str(seen["order_id"]))
                yield seen

        _show_changes(output, looks(), render.order, lambda seen: seen.get("timeline"), live=follow)


def orders(
    status: Annotated[
        str | None, typer.Option(help="Only these: awaiting_payment, payment_processing, fulfilled, refunded, …")
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

    Exit codes: 0 listed, 1 refused (the operator token).
    """
    with speaking(as_json) as output, Shop(locate(url, token)) as shop:

        def looks() -> Iterator[Json]:
            page = shop.orders(status=status, limit=limit, q=query)
            if page.get("next") and not watch:
                output.note("There are more: raise --limit, or narrow with --status and --query.")
            yield page
            while watch:
                time.sleep(_WATCH_EVERY)
                yield shop.orders(status=status, limit=limit, q=query)

        def rows(page: Json) -> list[Json]:
            return page.get("orders") or []

        _show_changes(output, looks(), lambda page: render.orders(rows(page)), rows, live=watch)


def _show_changes(
    output: Output,
    looks: Iterator[Json],
    shown: Callable[[Json], RenderableType],
    told: Callable[[Json], object],
    *,
    live: bool,
) -> None:
    """In place on a terminal; else each that differs from the one before, for people in what is `told` of it."""
    if live and not output.as_json and output.out.is_terminal:
        with Live(console=output.out, auto_refresh=False) as display:
            for document in looks:
                display.update(shown(document), refresh=True)
        return
    before: object = None
    for document in looks:
        now = document if output.as_json else told(document)
        if now != before:
            output.result(document, shown)
        before = now
