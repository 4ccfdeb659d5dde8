"""The load generator against a small shop that keeps its promises only as far as each test wants."""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from urllib.parse import urlsplit

import pytest

from bench.customer import Target, Watch
from bench.load import Load, Tally, run_load

Answer = tuple[int, object, dict[str, str]]


class SmallShop:
    """Gateway and payment service in one: paid is fulfilled. `before` may answer a Buy in the shop's place."""

    def __init__(self) -> None:
        self.status: dict[str, str] = {}
        self.keys: list[str] = []
        self.calls: Counter[str] = Counter()
        self.before: Callable[[str], Answer | None] = lambda key: None
        self.paid_becomes = "fulfilled"
        self.is_listed = True
        self.notify: Callable[[str], None] = lambda order_id: None
        self.delay = 0.0

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        where = urlsplit(path).path
        self.calls[f"{method} {where.split('/')[1]}"] += 1
        if where.startswith("/checkout/"):
            key = where.rpartition("/")[2]
            self.keys.append(key)
            if (instead := self.before(key)) is not None:
                return instead
            self.status[f"ord_{key}"] = "awaiting_payment"
            return 200, {"order_id": f"ord_{key}", "session_id": f"cs_{key}"}, {}
        if where == "/api/submit_payment":
            order_id = "ord_" + body.decode().removeprefix("session_id=cs_")
            self.status[order_id] = self.paid_becomes
            self.notify(order_id)
            return 204, None, {}
        if where == "/admin/orders":
            wanted = path.rpartition("status=")[2].split("&")[0]
            found = [order for order, status in self.status.items() if status == wanted and self.is_listed]
            return 200, {"orders": [{"order_id": order, "status": wanted} for order in found]}, {}
        order_id = where.rpartition("/")[2]
        return 200, {"order_id": order_id, "status": self.status[order_id]}, {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Target]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while head := await reader.readline():
                method, path, _ = head.decode().split()
                headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                body = await reader.readexactly(int(headers.partition("content-length:")[2].split("\r\n")[0]))
                await asyncio.sleep(self.delay)
                status, document, more = self.answer(method, path, body)
                payload = b"" if document is None else json.dumps(document).encode()
                lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in more.items())]
                writer.write("\r\n".join([*lines, f"Content-Length: {len(payload)}", "", ""]).encode() + payload)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield Target(url, url, admin_token="token")
        server.close()


async def run(small: SmallShop, load: Load, silent_after: float = 5.0) -> Tally:
    async with small.open() as target, Watch(target, silent_after) as watch:
        return await run_load(target, load, watch)


async def test_every_checkout_is_bought_paid_and_heard_of_once() -> None:
    small = SmallShop()
    tally = await run(small, Load(clients=4, checkouts=20))
    assert (len(tally.fulfilled), len(set(small.keys)), tally.errors) == (20, 20, Counter())
    assert sorted(tally.fulfilled) == sorted(small.status)
    assert all(
        answer <= end for answer, end in zip(sorted(tally.answered), sorted(tally.fulfilled.values()), strict=True)
    )


async def test_one_observer_looks_for_all_clients() -> None:
    small = SmallShop()
    begun = time.monotonic()
    await run(small, Load(clients=30, checkouts=60))
    looks = (time.monotonic() - begun) / 0.2 + 1  # one every 0.2 s; each may be of two pages
    assert small.calls["GET admin"] <= 2 * looks
    assert small.calls["GET orders"] == 0


async def test_not_yet_is_asked_again_under_the_same_key_and_counted() -> None:
    small = SmallShop()
    times = itertools.count()
    small.before = lambda key: (202, {}, {"Retry-After": "0.1"}) if next(times) < 2 else None
    tally = await run(small, Load(clients=1, checkouts=1))
    assert (tally.retries, len(tally.fulfilled), len(set(small.keys)), len(small.keys)) == (2, 1, 1, 3)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [((409, {"code": "out-of-stock"}, {}), "buy: HTTP 409 out-of-stock"), ((500, ["?"], {}), "buy: HTTP 500")],
)
async def test_a_refusal_is_counted_by_its_kind_and_not_repeated(answer: Answer, kind: str) -> None:
    small = SmallShop()
    small.before = lambda key: answer
    tally = await run(small, Load(clients=2, checkouts=3))
    assert (tally.errors, len(small.keys), tally.throughput) == (Counter({kind: 3}), 3, 0.0)


async def test_paid_and_cancelled_is_an_error() -> None:
    small = SmallShop()
    small.paid_becomes = "cancelled"
    small.is_listed = False
    tally = await run(small, Load(clients=1, checkouts=1), silent_after=0.1)
    assert tally.errors == Counter({"paid: order cancelled": 1})


async def test_an_order_that_nobody_hears_of_is_asked_for_by_itself() -> None:
    small = SmallShop()
    small.is_listed = False
    tally = await run(small, Load(clients=1, checkouts=1), silent_after=0.1)
    assert len(tally.fulfilled) == 1
    assert small.calls["GET orders"] >= 1


async def test_one_that_takes_its_time_is_not_asked_for_before_it_is_silent_for_long() -> None:
    small = SmallShop()
    small.is_listed = False
    asyncio.get_running_loop().call_later(1.4, setattr, small, "is_listed", True)
    tally = await run(small, Load(clients=1, checkouts=1), silent_after=60)
    assert (len(tally.fulfilled), small.calls["GET orders"]) == (1, 0)


async def test_an_end_that_comes_with_the_payment_s_answer_is_heard() -> None:
    """As fast as a notification can be: before the client reads that it has paid."""
    small = SmallShop()
    small.is_listed = False
    async with small.open() as target, Watch(target, silent_after=60) as watch:
        small.notify = lambda order_id: watch.heard(None, 0, "order_events", f"{order_id}:4:fulfilled")
        tally = await run_load(target, Load(clients=2, checkouts=6, patience=30), watch)
    assert (len(tally.fulfilled), tally.errors) == (6, Counter())


async def test_patience_ends() -> None:
    small = SmallShop()
    small.paid_becomes = "awaiting_payment"
    tally = await run(small, Load(clients=1, checkouts=1, patience=0.5))
    assert tally.errors == Counter({"paid: not fulfilled in time": 1})


async def test_at_a_rate_latency_counts_from_when_the_customer_came() -> None:
    """One slow clerk, ten customers a second: the queue's waiting is the customers', not nobody's."""
    small = SmallShop()
    small.delay = 0.1  # each request
    tally = await run(small, Load(clients=1, checkouts=5, rate=10))
    assert max(tally.answered) > 0.5
    # Each comes 0.1 s after the one before, and is served at least 0.2 s after it.
    assert all(later - earlier >= 0.09 for earlier, later in pairwise(tally.answered))
