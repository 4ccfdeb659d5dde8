"""Customers of a shop: whom they buy from, how they buy and pay, and how they hear of the end.

Each has two connections of its own; one observer hears for all. What can go wrong is counted by its kind.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import asyncpg

from bench.http import Answer, Connection, HTTPFailed
from stack.data_dir import Location

NOT_YET = frozenset({202, 429, 503})
CHANNEL = "order_events"
GOOD = frozenset({"fulfilled", "dispatched"})
ENDED = GOOD | {"cancelled", "rejected", "refunded"}
_POLL_EVERY = 0.2  # seconds
_SILENT_EVERY, _LOOKS_AT_ONCE = 5, 10  # of these polls looks at the silent ones as well, at so many


@dataclass(frozen=True)
class Target(Location):
    """A running shop to be measured."""

    dialect: str = "shop"
    """How it is bought from: `shop`, or `widgets`."""
    more_gateways: tuple[str, ...] = ()
    """Addresses of further gateways, over which the customers spread."""


class Watch:
    """Hears of fulfilled orders, once for all customers: observing must not become the load.

    `async with Watch(target) as watch:`, and in it, for each order, `watch.expecting`.

    With the database at hand one connection LISTENs to `order_events` (payload `<order id>:<seq>:<kind>`, sent by the
    shop's trigger at COMMIT). Without, one poller reads the operator's list. Either way an order nobody hears of for a
    while is asked for by itself, so a lost notification costs a checkout a few seconds, not its result.
    """

    def __init__(self, target: Target, silent_after: float = 5.0) -> None:
        """`silent_after`: seconds without a word after which an order is asked for by itself."""
        self._target = target
        self._silent_after = silent_after
        self._waiting: dict[str, tuple[asyncio.Future[str], float]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._connection: Any = None
        self.by = "poll" if target.dialect == "shop" else "the answer"

    async def __aenter__(self) -> "Watch":
        if self._target.dialect == "shop":
            if self._target.database_url:
                with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    self._connection = await asyncpg.connect(self._target.database_url, timeout=5)
                    await self._connection.add_listener(CHANNEL, self.heard)
                    self.by = "listen"
            self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        if self._connection is not None:
            with suppress(Exception):
                await self._connection.close(timeout=2)

    @contextmanager
    def expecting(self, order_id: str) -> Iterator["asyncio.Future[str]"]:
        """Yields a future of the status in which the order will have ended. Begin before paying, or its end may pass
        unheard."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[order_id] = (future, time.monotonic())
        try:
            yield future
        finally:
            self._waiting.pop(order_id, None)

    def heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        """A notification, as asyncpg delivers it."""
        order_id, _, kind = str(payload).split(":", 2)
        self._ended(order_id, kind)

    def _ended(self, order_id: str, status: str) -> None:
        entry = self._waiting.get(order_id)
        if entry is not None and status in ENDED and not entry[0].done():
            entry[0].set_result(status)

    async def _look(self) -> None:
        headers = {"Authorization": f"Bearer {self._target.admin_token}", "Accept": "application/json"}
        async with Connection(self._target.gateway_url) as gateway:
            for turn in count(1):
                await asyncio.sleep(_POLL_EVERY)
                paths = []
                if self.by == "poll" and self._waiting:
                    paths += [f"/admin/orders?status={status}&limit=200" for status in ("fulfilled", "dispatched")]
                if turn % _SILENT_EVERY == 0:
                    before = time.monotonic() - self._silent_after
                    silent = [order_id for order_id, (_, since) in self._waiting.items() if since < before]
                    paths += [f"/orders/{order_id}" for order_id in silent[:_LOOKS_AT_ONCE]]
                for path in paths:
                    with suppress(HTTPFailed, ValueError, KeyError):
                        answer = await gateway.request("GET", path, headers=headers)
                        found = answer.json() if answer.status == 200 else {"orders": []}
                        for order in found.get("orders", [found]):
                            self._ended(str(order["order_id"]), str(order["status"]))


class CheckoutFailed(Exception):
    """One checkout did not end as it should. The message is the kind of error: no ids, so that kinds count."""


@dataclass(frozen=True)
class Bought:
    """What is to be paid."""

    key: str
    order_id: str
    session_id: str


class Customer:
    """Speaks the shop's dialect: the answer of Buy names a session, which is paid at the payment service. Deadlines are
    of `time.perf_counter`; what is late or refused raises `CheckoutFailed`."""

    def __init__(self, target: Target, number: int = 0) -> None:
        """`number` picks one of several gateways."""
        gateways = (target.gateway_url, *target.more_gateways)
        self.gateway = Connection(gateways[number % len(gateways)])
        self.payment = Connection(target.payment_url)
        self.retries = 0
        """Answers that meant "not yet": the same key was sent again."""

    async def __aenter__(self) -> "Customer":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gateway.close()
        self.payment.close()

    async def buy(self, key: str, sku: str, deadline: float) -> Bought:
        """Until `deadline`, "not yet" and lost replies are asked again under the same key."""
        body = json.dumps({"items": [{"sku": sku, "quantity": 1}]}).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        order = (await self._insist(f"/checkout/{key}", body, headers, deadline)).json()
        return Bought(key, str(order["order_id"]), str(order["session_id"]))

    async def finish(self, bought: Bought, watch: Watch, deadline: float) -> None:
        """Pay, and return when the order is fulfilled."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        with watch.expecting(bought.order_id) as ended:
            await self._pay(self.payment, "/api/submit_payment", f"session_id={bought.session_id}".encode(), headers)
            try:
                async with asyncio.timeout(max(0.0, deadline - time.perf_counter())):
                    status = await ended
            except TimeoutError:
                raise CheckoutFailed("paid: not fulfilled in time") from None
        if status not in GOOD:
            raise CheckoutFailed(f"paid: order {status}")

    async def _insist(self, path: str, body: bytes, headers: dict[str, str], deadline: float) -> Answer:
        while True:
            delay = 0.5
            try:
                answer = await self.gateway.request("POST", path, body, headers)
            except HTTPFailed:
                kind = "buy: no answer"
            else:
                if answer.status == 200:
                    return answer
                kind = f"buy: {kind_of(answer)}"
                if answer.status not in NOT_YET:
                    raise CheckoutFailed(kind)
                delay = min(max(float(answer.headers.get("retry-after", "1")), 0.1), 5.0)
            if time.perf_counter() + delay > deadline:
                raise CheckoutFailed(kind)
            self.retries += 1
            await asyncio.sleep(delay)

    async def _pay(self, where: Connection, path: str, body: bytes, headers: dict[str, str]) -> None:
        try:
            answer = await where.request("POST", path, body, headers)
        except HTTPFailed:
            raise CheckoutFailed("pay: no answer") from None
        if not 200 <= answer.status < 300:
            raise CheckoutFailed(f"pay: {kind_of(answer)}")


class WidgetCustomer(Customer):
    """DBOS's widget store: no cart. One pays at its own webhook, unsigned, whose answer is the end of the order."""

    async def buy(self, key: str, sku: str, deadline: float) -> Bought:
        answer = await self._insist(f"/checkout/{key}", b"", {}, deadline)
        return Bought(key, key, answer.body.decode())

    async def finish(self, bought: Bought, watch: Watch, deadline: float) -> None:
        await self._pay(self.gateway, f"/payment_webhook/{bought.session_id}/paid", b"", {})


def customer_of(target: Target, number: int = 0) -> Customer:
    return {"shop": Customer, "widgets": WidgetCustomer}[target.dialect](target, number)


def new_key() -> str:
    return f"bench-{secrets.token_urlsafe(16)}"


def kind_of(answer: Answer) -> str:
    """`HTTP 409 out-of-stock`: the status and, from a problem document, its code."""
    try:
        code = answer.json().get("code", "")
    except (ValueError, AttributeError):
        code = ""
    return f"HTTP {answer.status} {code}".rstrip()
