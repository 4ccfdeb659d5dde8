"""`checkout status`, `orders` and `events`: look at one order, at many, or at what happens to them."""

import time
from collections.abc import Callable, Iterator
from typing import Annotated

import httpx
import typer
from rich.console import RenderableType
from rich.live import Live

from cli import options, render
from cli.buying import UNDECIDED
from cli.client import STREAM_PATIENCE, Shop
from cli.locate import locate
from cli.output import CommandFailed, Json, Output, speaking

_MOVES = UNDECIDED | {"payment_processing", "fulfilled"}
_LAST_KINDS = frozenset({"dispatched", "rejected", "cancelled", "refunded"})
_FOLLOW_EVERY, _WATCH_EVERY = 0.4, 1.0  # seconds between two looks
_AGAIN = 1.0  # seconds until a lost stream is opened again


def status(
    reference: Annotated[str, typer.Argument(metavar="ORDER|SESSION|KEY", help="Which order.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay until nothing more can happen.")] = False,
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Show an order: status, payment, refunds and disputes, dispatch progress and timeline.

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

        checkout orders --status awaiting_payment
        checkout orders --watch

    Exit codes: 0 listed, 1 refused (the operator token).
    """
    with speaking(as_json) as output, Shop(locate(url, token)) as shop:

        def looks() -> Iterator[Json]:
            while True:
                page = shop.orders(status=status, limit=limit, q=query)
                if page.get("next") and not watch:
                    output.note("There are more: raise --limit, or narrow with --status and --query.")
                yield page
                if not watch:
                    return
                time.sleep(_WATCH_EVERY)

        _show_changes(output, looks(), render.orders, lambda page: page.get("orders"), live=watch)


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


def events(
    reference: Annotated[
        str | None, typer.Argument(metavar="[ORDER|SESSION|KEY]", help="Only this order, from its beginning.")
    ] = None,
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Show what happens to orders, as it happens; all of them, or one until it ends.

        checkout events
        checkout events birthday-1 --json

    Exit codes: 0 the order has ended, 1 refused or no such order. With --json: one document an event. Ctrl-C ends it.
    """
    with speaking(as_json) as output, Shop(locate(url, token)) as shop:
        if reference is None:
            path = "/admin/events"
            output.note("Waiting for orders. Ctrl-C ends it.")
        else:
            path = f"/orders/{shop.find_order(reference)['order_id']}/events"
        is_lost = False
        for event in _listen(shop, path, ends=reference is not None):
            if event is not None:
                output.result(event, render.event)
            elif not is_lost:
                output.note("Reconnecting…")
            is_lost = event is None


def _listen(shop: Shop, path: str, *, ends: bool) -> Iterator[Json | None]:
    """Events as they happen; None whenever the stream is lost, which is then opened again behind the last event seen.
    An order's stream ends with the order.

    Raises `CommandFailed` when the gateway refuses, or does not answer the first time.
    """
    last_id, last_kind, was_open = "", "", False
    while not (ends and last_kind in _LAST_KINDS):
        try:
            with shop.stream(path, after=last_id, timeout=STREAM_PATIENCE) as stream:
                was_open = True
                for event_id, event in stream:
                    last_id, last_kind = event_id or last_id, str(event.get("kind"))
                    yield event
        except httpx.TransportError:
            if not was_open:
                raise shop.nobody() from None
        except CommandFailed as refused:
            if not was_open or refused.problem.get("status") != 503:  # not back yet
                raise
        if not (ends and last_kind in _LAST_KINDS):
            yield None
            time.sleep(_AGAIN)
