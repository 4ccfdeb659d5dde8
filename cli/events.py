"""`checkout events`: what happens to orders, as it happens, over the gateway's server-sent events."""

import json
import time
from collections.abc import Iterator
from typing import Annotated

import httpx
import typer

from cli import options, render
from cli.client import Shop, nobody, refusal
from cli.locate import Location, locate
from cli.output import Json, speaking

_LAST_KINDS = frozenset({"dispatched", "rejected", "cancelled", "refunded"})
_ALL_ORDERS = "/admin/events"
_AGAIN = 1.0  # seconds until a lost stream is opened again
_SILENCE = 40.0  # seconds without a sign of life (the gateway gives one every 15) after which a stream is lost


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

    Exit codes: 0 the order has ended, 1 refused or no such order. With --json: one document an event. Ctrl-C ends it.
    """
    with speaking(as_json) as output:
        location = locate(url, token)
        if reference is None:
            path = _ALL_ORDERS
            output.note("Waiting for orders. Ctrl-C ends it.")
        else:
            with Shop(location) as shop:
                path = f"/orders/{shop.find_order(reference)['order_id']}/events"
        is_lost = False
        for event in listen(location, path):
            if event is not None:
                output.result(event, render.event)
            elif not is_lost:
                output.note("Reconnecting…")
            is_lost = event is None


def listen(location: Location, path: str) -> Iterator[Json | None]:
    """Events as they happen; None whenever the stream is lost, which is then opened again behind the last event seen.
    An order's stream ends with the order (server-sent events: WHATWG HTML 9.2).

    Raises `CommandFailed` when the gateway refuses, or does not answer the first time.
    """
    last_id, last_kind, was_open = "", "", False
    headers = {"Accept": "text/event-stream"}
    if path == _ALL_ORDERS and location.admin_token:
        headers["Authorization"] = f"Bearer {location.admin_token}"
    with httpx.Client(timeout=httpx.Timeout(10.0, read=_SILENCE), trust_env=False, headers=headers) as client:
        while True:
            resume = {"Last-Event-ID": last_id} if last_id else {}
            try:
                with client.stream("GET", f"{location.gateway_url}{path}", headers=resume) as response:
                    if response.status_code == 503 and was_open:
                        raise httpx.TransportError("not back yet")
                    if not response.is_success:
                        response.read()
                        raise refusal(response)
                    was_open = True
                    for event_id, event in _parse(response.iter_lines()):
                        last_id, last_kind = event_id or last_id, str(event.get("kind"))
                        yield event
            except httpx.TransportError:
                if not was_open:
                    raise nobody("gateway", location.gateway_url) from None
            if path != _ALL_ORDERS and last_kind in _LAST_KINDS:
                return
            yield None
            time.sleep(_AGAIN)


def _parse(lines: Iterator[str]) -> Iterator[tuple[str, Json]]:
    """`(id, data)` of each event; comments and other fields are skipped."""
    event_id, data = "", ""
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            event_id = value
        elif name == "data":
            data += value
        elif not line and data:
            yield event_id, json.loads(data)
            event_id, data = "", ""
