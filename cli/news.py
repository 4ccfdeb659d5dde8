"""The gateway's event streams (server-sent events, WHATWG HTML 9.2), for commands that follow orders.

A lost stream is opened again, behind the last event seen. Whoever only wants to know *when* to look takes `News`, which
falls back to the clock where there are no events.
"""

import json
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import httpx

from cli.client import refusal
from cli.locate import Location
from cli.output import UNREACHABLE, CommandFailed

LAST_KINDS = frozenset({"dispatched", "rejected", "cancelled", "refunded"})
ALL_ORDERS = "/admin/events"
_AGAIN = 1.0  # seconds until a lost stream is opened again
_SILENCE = 40.0  # seconds without a sign of life (the gateway gives one every 15) after which a stream is lost
Json = dict[str, Any]


def of_order(order_id: str) -> str:
    return f"/orders/{order_id}/events"


def listen(location: Location, path: str) -> Iterator[Json | None]:
    """Events as they happen; None whenever the stream is lost. An order's stream ends with the order.

    Raises `CommandFailed` when the gateway refuses, or does not answer the first time.
    """
    last_id, last_kind, was_open = "", "", False
    headers = {"Accept": "text/event-stream"}
    if path.startswith("/admin/") and location.admin_token:
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
                    sentence = f"No gateway answers at {location.gateway_url}"
                    raise CommandFailed(UNREACHABLE, sentence, "Start everything with `make up` first.") from None
            if path != ALL_ORDERS and last_kind in LAST_KINDS:
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


class News:
    """`with News(...) as news: news.wait(0.5)` returns when something has happened, or when it is time to look."""

    def __init__(self, location: Location, path: str) -> None:
        self._location, self._path = location, path
        self._heard = threading.Event()
        self._is_live = False

    def __enter__(self) -> "News":
        threading.Thread(target=self._listen, name="order events", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._heard.set()  # the thread ends with the process, which is about to

    def wait(self, without_events: float, at_most: float = _SILENCE) -> None:
        """Until there is news, at most `at_most` seconds; without a stream, `without_events` seconds."""
        self._heard.wait(at_most if self._is_live else without_events)
        self._heard.clear()

    def _listen(self) -> None:
        try:
            for event in listen(self._location, self._path):
                self._is_live = event is not None
                self._heard.set()
        except CommandFailed:
            pass
        self._is_live = False
        self._heard.set()
