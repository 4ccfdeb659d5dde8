"""What is done to a shop, each by a name: `python -m bench run --only peak,hot`. Sizes: in full, and with `--quick`."""

import asyncio
import json
import secrets
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import stripe

from bench.contestants import Running
from bench.customer import Bought, CheckoutFailed, Customer, Watch, new_key
from bench.load import Job, Json, Load, Tally, latency, run_load, serve, warm_up
from bench.machine import memory_bytes, of_the_parts
from bench.progress import Phase

CLIENTS = 30
PATIENCE = 120.0  # seconds
SPREAD = ("pen", "notebook", "pencil-set", "ink-bottle", "desk-lamp", "tote-bag", "coffee-mug")
"""Seeded products with stock for thousands of checkouts."""


@dataclass
class Turn:
    """A contestant that runs, and what this turn of it has found out."""

    shop: Running
    watch: Watch
    quick: bool
    phase: Phase
    found: dict[str, Json] = field(default_factory=dict)

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    async def load(
        self, clients: int, checkouts: int, skus: tuple[str, ...] = ("pen",), rate: float | None = None
    ) -> Json:
        load = Load(clients, checkouts, 0, skus, rate, PATIENCE)
        return (await run_load(self.shop.target, load, self.watch, self.phase)).report(load)

    async def buy(self, checkouts: int, clients: int = CLIENTS, sku: str = "pen") -> tuple[list[Bought], Json]:
        """Buy and do not pay."""
        bought: list[Bought] = []

        async def one(customer: Customer) -> None:
            bought.append(await customer.buy(new_key(), sku, time.perf_counter() + PATIENCE))

        return bought, await self.each([one] * checkouts, clients, "buying", "buy_to_answer")

    async def finish(self, bought: list[Bought], clients: int = CLIENTS) -> Json:
        """Pay what was bought and wait until all of it is fulfilled."""

        async def one(which: Bought, customer: Customer) -> None:
            await customer.finish(which, self.watch, time.perf_counter() + PATIENCE)

        return await self.each([partial(one, each) for each in bought], clients, "paying", "pay_to_fulfilled")

    async def each(self, jobs: Sequence[Job], clients: int, name: str, latency_of: str = "each") -> Json:
        """Do every job once, `clients` at a time. The report says how long each took, and whose CPU."""
        tally = Tally()
        await serve(self.shop.target, jobs, clients, tally, self.phase, name)
        return {
            "count": len(jobs),
            "clients": clients,
            "seconds": tally.took,
            "a_second": len(jobs) / tally.took,
            "cpu_seconds_each": {part: spent / max(1, len(jobs)) for part, spent in tally.cpu.items()},
            "others_cpu_share": tally.others,
            "errors": dict(tally.errors),
            latency_of: latency(tally.times),
        }


async def one_client(turn: Turn) -> Json:
    return await turn.load(1, turn.size(100, 20))


async def peak(turn: Turn) -> Json:
    return await turn.load(CLIENTS, turn.size(600, 120))


async def half(turn: Turn) -> Json:
    """Open loop at half of the peak that this turn has measured: how a shop feels that is not overrun."""
    at = turn.found.get("peak") or await peak(turn)
    rate = max(1.0, at["throughput"] / 2)
    return await turn.load(200, int(rate * turn.size(20, 6)), rate=rate)


async def closed(turn: Turn) -> Json:
    levels = (1, 10, 50) if turn.quick else (1, 2, 5, 10, 20, 50, 100, 200)
    return {"levels": [await turn.load(clients, max(turn.size(200, 30), 3 * clients)) for clients in levels]}


async def rates(turn: Turn) -> Json:
    steps = (5, 15) if turn.quick else (5, 10, 20, 30, 40)
    seconds = turn.size(15, 4)
    return {"levels": [await turn.load(200, rate * seconds, rate=float(rate)) for rate in steps]}


async def hot(turn: Turn) -> Json:
    """One product against seven, in turn."""
    runs = turn.size(300, 60)
    pairs = [
        [(await turn.load(CLIENTS, runs, skus))["throughput"] for skus in (("pen",), SPREAD)]
        for _ in range(turn.size(3, 1))
    ]
    one, many = map(statistics.median, zip(*pairs, strict=True))
    return {"hot": one, "spread": many, "ratio": one / many if many else None, "pairs": pairs}


async def rush(turn: Turn) -> Json:
    """500 buyers at once, of a product of which there are ten."""
    buyers = turn.size(500, 100)
    bought, told = await turn.buy(buyers, clients=buyers, sku="limited-print")
    refused = sum(told["errors"].pop(kind) for kind in list(told["errors"]) if kind.startswith("buy: HTTP 409"))
    await turn.finish(bought)
    return {**told, "bought": len(bought), "refused": refused}


async def replays(turn: Turn) -> Json:
    """A fulfilled checkout's key again and again, in turn with a route that does nothing."""
    bought, _ = await turn.buy(1)
    await turn.finish(bought)
    times = turn.size(2000, 300)

    async def again(customer: Customer) -> None:
        await customer.buy(bought[0].key, "pen", time.perf_counter() + PATIENCE)

    async def nothing(customer: Customer) -> None:
        await customer.gateway.request("GET", "/livez")

    pairs = [
        (await turn.each([again] * times, 4, "repeating"), await turn.each([nothing] * times, 4, "doing nothing"))
        for _ in range(2)
    ]
    over = [of_the_parts(one["cpu_seconds_each"]) - of_the_parts(other["cpu_seconds_each"]) for one, other in pairs]
    return {"cpu_seconds_over_empty": statistics.mean(over), "replay": pairs[-1][0], "empty": pairs[-1][1]}


async def webhooks(turn: Turn) -> Json:
    """Forty webhooks for each of some paid orders, in no order, beside what the payment service sends."""
    bought, _ = await turn.buy(turn.size(50, 10))
    secret = turn.shop.stack.credentials.webhook_secret

    async def send(about: Bought, customer: Customer) -> None:
        subject = {"id": about.session_id, "object": "checkout.session", "client_reference_id": about.key}
        event_id = f"evt_{secrets.token_hex(12)}"  # each a new event; whether it is true, the shop looks
        body = json.dumps({"id": event_id, "type": "checkout.session.completed", "data": {"object": subject}})
        signed = {"Stripe-Signature": stripe.WebhookSignature.generate_signature_header(body, secret)}
        headers = {"Content-Type": "application/json"} | signed
        answer = await customer.gateway.request("POST", "/payment_webhook", body.encode(), headers)
        if answer.status != 200:
            raise CheckoutFailed(f"webhook: HTTP {answer.status}")

    paying = asyncio.create_task(turn.finish(bought, 5))
    told = await turn.each([partial(send, one) for one in bought for _ in range(40)], CLIENTS, "telling")
    return {**told, "finish": await paying}


async def waiting(turn: Turn) -> Json:
    """Checkouts that are left waiting: how much memory each takes; then all of them are paid."""
    pids = turn.shop.target.pids
    before = memory_bytes(pids)
    bought, buying = await turn.buy(turn.size(10_000, 300))
    while_waiting = memory_bytes(pids)
    finishing = await turn.finish(bought)
    await asyncio.sleep(turn.size(20, 3))
    count = max(1, len(bought))
    return {
        "waiting": len(bought),
        "bytes_each": {part: (while_waiting[part] - before[part]) / count for part in before if part in while_waiting},
        "bytes_before": before,
        "bytes_after": memory_bytes(pids),
        "buying": buying,
        "finishing": finishing,
    }


async def restart(turn: Turn) -> Json:
    """The process that looks after waiting checkouts is killed; then all of them are paid."""
    bought, _ = await turn.buy(turn.size(1000, 100))
    start = time.perf_counter()
    await turn.shop.stack["worker"].kill()
    await turn.shop.stack["worker"].wait_ready(timeout=60)
    seconds = time.perf_counter() - start
    return {"killed": "worker", "ready_again_after": seconds, **await turn.finish(bought)}


async def scale(turn: Turn) -> Json:
    """One, two and four workers and gateways, on the same cores."""
    results = []
    load = Load(CLIENTS, turn.size(300, 60), turn.size(60, 10), patience=PATIENCE)
    for processes in (1, 2) if turn.quick else (1, 2, 4):
        async with turn.shop.beside(processes - 1) as target:
            await warm_up(target, load, turn.watch, turn.phase)
            tally = await run_load(target, load, turn.watch, turn.phase)
            results.append({"processes": processes, **tally.report(load)})
    return {"levels": results}


@dataclass(frozen=True)
class Workload:
    """`repeats`: measured in every round, for medians; else once. `peers`: of every contestant; else of ours."""

    name: str
    what: str
    do: Callable[[Turn], Awaitable[Json]]
    repeats: bool = False
    peers: bool = False


WORKLOADS = {
    each.name: each
    for each in (
        Workload("one", "one customer at a time: Buy to the answer, Buy to fulfilled", one_client, True, True),
        Workload("peak", f"{CLIENTS} customers, each begins again when done: checkouts a second", peak, True, True),
        Workload("half", "open loop at half of the peak: p50 and p99", half, True, True),
        Workload("closed", "1 to 200 customers, each begins again when done", closed, peers=True),
        Workload("rates", "customers come at fixed rates, served or not", rates, peers=True),
        Workload("hot", "one product against seven", hot, peers=True),
        Workload("rush", "500 buyers of the ten pieces there are", rush),
        Workload("replays", "a fulfilled checkout's key again, against a route that does nothing", replays),
        Workload("webhooks", "each paid order is told of forty times", webhooks),
        Workload("waiting", "10,000 checkouts left waiting, then paid: memory and time", waiting),
        Workload("restart", "1,000 wait while their worker is killed, then are paid", restart),
        Workload("scale", "1, 2 and 4 workers and gateways", scale),
    )
}
