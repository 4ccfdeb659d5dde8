"""The load itself: customers who buy, pay and wait, at most `clients` of them at a time."""

import asyncio
import json
import math
import secrets
import time
from collections.abc import Callable, Iterator

from bench.http import Answer, Connection, HTTPFailed
from bench.stats import Tally
from bench.target import Load, Target
from bench.watch import GOOD, Watch

NOT_YET = frozenset({202, 429, 503})
Progress = Callable[[int], None]


class CheckoutFailed(Exception):
    """One checkout did not end as it should. The message is the kind of error: no ids, so that kinds count."""


async def run_load(target: Target, load: Load, watch: Watch, progress: Progress = lambda done: None) -> Tally:
    """`load.checkouts` checkouts, warm-up not included. `progress` hears how many are done."""
    tally = Tally()
    tickets = iter(range(load.checkouts))
    began = time.perf_counter()
    clients = min(load.clients, load.checkouts)
    await asyncio.gather(*(_client(target, load, watch, tally, tickets, began, progress) for _ in range(clients)))
    return tally


async def _client(
    target: Target,
    load: Load,
    watch: Watch,
    tally: Tally,
    tickets: Iterator[int],
    began: float,
    progress: Progress,
) -> None:
    async with Connection(target.gateway_url) as gateway, Connection(target.payment_url) as payment:
        for ticket in tickets:
            start = time.perf_counter()
            if load.rate:
                # When all clients are busy at the due time the waiting counts: the customer was there.
                start = began + ticket / load.rate
                await asyncio.sleep(max(0.0, start - time.perf_counter()))
            tally.first_buy = start if math.isnan(tally.first_buy) else min(tally.first_buy, start)
            try:
                await _checkout(load, watch, tally, gateway, payment, start)
            except CheckoutFailed as failed:
                tally.errors[str(failed)] += 1
            progress(len(tally.fulfilled) + tally.errors.total())


async def _checkout(
    load: Load, watch: Watch, tally: Tally, gateway: Connection, payment: Connection, start: float
) -> None:
    deadline = start + load.patience
    key = f"bench-{secrets.token_urlsafe(16)}"
    order = await _buy(load, tally, gateway, key, deadline)
    tally.answered.append(time.perf_counter() - start)
    tally.keys.append(key)
    order_id = str(order["order_id"])
    ended = watch.expect(order_id)
    try:
        await _pay(payment, str(order["session_id"]))
        async with asyncio.timeout(max(0.0, deadline - time.perf_counter())):
            status = await ended
    except TimeoutError:
        raise CheckoutFailed("paid: not fulfilled in time") from None
    finally:
        watch.forget(order_id)
    if status not in GOOD:
        raise CheckoutFailed(f"paid: order {status}")
    tally.last_fulfilled = time.perf_counter()
    tally.fulfilled.append(tally.last_fulfilled - start)
    tally.order_ids.append(order_id)


async def _buy(load: Load, tally: Tally, gateway: Connection, key: str, deadline: float) -> dict[str, object]:
    """The checkout's answer. "Not yet" and a lost reply are asked again under the same key, as customers do."""
    body = json.dumps({"items": [{"sku": load.sku, "quantity": 1}]}).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    while True:
        delay = 0.5
        try:
            answer = await gateway.request("POST", f"/checkout/{key}", body, headers)
        except HTTPFailed:
            kind = "buy: no answer"
        else:
            if answer.status == 200:
                order: dict[str, object] = answer.json()
                return order
            kind = f"buy: {_kind(answer)}"
            if answer.status not in NOT_YET:
                raise CheckoutFailed(kind)
            delay = min(max(float(answer.headers.get("retry-after", "1")), 0.1), 5.0)
        if time.perf_counter() + delay > deadline:
            raise CheckoutFailed(kind)
        tally.retries += 1
        await asyncio.sleep(delay)


async def _pay(payment: Connection, session_id: str) -> None:
    body = f"session_id={session_id}".encode()
    try:
        answer = await payment.request(
            "POST", "/api/submit_payment", body, {"Content-Type": "application/x-www-form-urlencoded"}
        )
    except HTTPFailed:
        raise CheckoutFailed("pay: no answer") from None
    if not 200 <= answer.status < 300:
        raise CheckoutFailed(f"pay: {_kind(answer)}")


def _kind(answer: Answer) -> str:
    """`HTTP 409 out-of-stock`: the status and, from a problem document, its code."""
    try:
        code = answer.json().get("code", "")
    except (ValueError, AttributeError):
        code = ""
    return f"HTTP {answer.status} {code}".rstrip()
