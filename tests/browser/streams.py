"""`python -m tests.browser.streams`: do 500 open event streams on one gateway slow the checkout down?

Rounds without and with the streams take turns in one run, so that whatever else the machine does weighs on both. Then
all streams' orders are paid for at once, and how long the news takes to reach the streams is measured. Prints one JSON
object; `--streams` and `--orders` change the numbers.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from stack.config import StackConfig
from stack.stack import Stack

ROUNDS = 4
CLIENTS = 4  # customers at once
CHECKOUTS = 40  # a round
WATCHED = 50  # orders that the streams share
SETTLE = 1.0  # seconds after opening or closing so many sockets


class Streams:
    """Open event streams, each a socket that only reads."""

    def __init__(self, gateway: str, order_ids: list[str], count: int) -> None:
        parts = urlsplit(gateway)
        self._host, self._port = parts.hostname or "localhost", parts.port or 80
        self._order_ids = [order_ids[index % len(order_ids)] for index in range(count)]
        self._tasks: list[asyncio.Task[None]] = []
        self._open: list[asyncio.Event] = []
        self.heard: dict[str, list[float]] = {}
        self.lost = 0

    async def __aenter__(self) -> "Streams":
        for order_id in self._order_ids:
            ready = asyncio.Event()
            self._open.append(ready)
            self._tasks.append(asyncio.create_task(self._read(order_id, ready)))
        await asyncio.wait_for(asyncio.gather(*(ready.wait() for ready in self._open)), 60)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self, order_id: str, ready: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            request = f"GET /orders/{order_id}/events?after=2 HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n\r\n"
            writer.write(request.encode())
            while line := await reader.readline():
                if line.startswith(b"retry:"):
                    ready.set()
                elif line.startswith(b"event: paid"):
                    self.heard.setdefault(order_id, []).append(time.monotonic())
                    return
            self.lost += 1
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _checkouts(client: httpx.AsyncClient, gateway: str) -> tuple[float, list[float]]:
    """A round: checkouts a second, and the milliseconds to each answer."""
    waits: list[float] = []

    async def customer() -> None:
        for _ in range(CHECKOUTS // CLIENTS):
            begin = time.monotonic()
            (await client.post(f"{gateway}/checkout", json={})).raise_for_status()
            waits.append((time.monotonic() - begin) * 1000)

    begin = time.monotonic()
    await asyncio.gather(*(customer() for _ in range(CLIENTS)))
    return CHECKOUTS / (time.monotonic() - begin), waits


async def _order(client: httpx.AsyncClient, gateway: str) -> dict[str, str]:
    return dict((await client.post(f"{gateway}/checkout")).raise_for_status().json())


async def measure(stack: Stack, streams: int, watched: int) -> dict[str, object]:
    gateway, payment = stack.urls["gateway"], stack.urls["payment"]
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        orders = [await _order(client, gateway) for _ in range(watched)]
        ids = [order["order_id"] for order in orders]
        await _checkouts(client, gateway)  # warm
        rates: dict[str, list[float]] = {"without": [], "with": []}
        waits: dict[str, list[float]] = {"without": [], "with": []}
        opening: list[float] = []
        for turn in range(2 * ROUNDS):
            # Without, with, with, without, …: a machine that grows slower meanwhile weighs on both alike.
            name = ("without", "with", "with", "without")[turn % 4]
            begin = time.monotonic()
            async with Streams(gateway, ids, streams if name == "with" else 0):
                if name == "with":
                    opening.append(time.monotonic() - begin)
                await asyncio.sleep(SETTLE)
                rate, wait = await _checkouts(client, gateway)
            rates[name].append(rate)
            waits[name] += wait
            await asyncio.sleep(SETTLE)
        async with Streams(gateway, ids, streams) as last:
            paid: dict[str, float] = {}
            for order in orders:
                form = {"session_id": order["session_id"]}
                paid[order["order_id"]] = time.monotonic()
                (await client.post(f"{payment}/api/submit_payment", data=form)).raise_for_status()
            async with asyncio.timeout(60):
                while sum(map(len, last.heard.values())) < streams:  # noqa: ASYNC110 - 500 readers, one sum
                    await asyncio.sleep(0.05)
        news = [1000 * (at - paid[order_id]) for order_id, moments in last.heard.items() for at in moments]
    middle = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "streams": streams,
        "watched_orders": watched,
        "checkouts_per_second": {name: [round(rate, 1) for rate in values] for name, values in rates.items()},
        "ratio_with_to_without": round(middle["with"] / middle["without"], 3),
        "answer_ms_median": {name: round(statistics.median(values), 1) for name, values in waits.items()},
        "answer_ms_p95": {name: round(statistics.quantiles(values, n=20)[-1], 1) for name, values in waits.items()},
        "seconds_to_open_all": [round(value, 2) for value in opening],
        "paid_to_news_ms": {"median": round(statistics.median(news)), "max": round(max(news))},
        "streams_lost": last.lost,
    }


async def run(folder: Path, streams: int, orders: int) -> None:
    async with Stack(StackConfig.for_tests(folder)) as stack:
        print(json.dumps(await measure(stack, streams, orders), indent=2), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--orders", type=int, default=WATCHED)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="checkout-streams-") as folder:
        path = Path(folder)
        path.chmod(0o755)  # PostgreSQL runs as another user when this runs as root
        asyncio.run(run(path, arguments.streams, arguments.orders))


if __name__ == "__main__":
    main()
    # Temporal's runtime may abort while the interpreter is torn down (sdk-python issue 300): leave before that.
    os._exit(0)
