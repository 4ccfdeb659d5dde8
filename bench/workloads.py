"""What is done to a shop, each by a name: `python -m bench run --only peak,hot`. Sizes: in full, and with `--quick`."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from bench import events
from bench.customer import CheckoutFailed, Customer
from bench.measure import Json, measured, warm_up
from bench.processes import memory_bytes
from bench.target import Load
from bench.turn import CLIENTS, PATIENCE, Turn

SPREAD = ("pen", "notebook", "pencil-set", "ink-bottle", "desk-lamp", "tote-bag", "coffee-mug")
"""Seeded products with stock for thousands of checkouts."""


async def one_client(turn: Turn) -> Json:
    return await turn.load(1, turn.size(100, 20))


async def peak(turn: Turn) -> Json:
    return await turn.load(CLIENTS, turn.size(600, 120))


async def half(turn: Turn) -> Json:
    """Open loop at half of the peak that this turn has seen: what a shop feels like that is not overrun."""
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
        ((await turn.load(CLIENTS, runs))["throughput"], (await turn.load(CLIENTS, runs, skus=SPREAD))["throughput"])
        for _ in range(turn.size(3, 1))
    ]
    one, many = (statistics.median(side) for side in zip(*pairs, strict=True))
    return {"hot": one, "spread": many, "ratio": one / many if many else None, "pairs": [list(pair) for pair in pairs]}


async def rush(turn: Turn) -> Json:
    """500 buyers at once of what there are ten of."""
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
        await customer.gateway.request("GET", "/livez" if turn.running.contestant.name == "ours" else "/readyz")

    pairs = [
        (await turn.each([again] * times, 4, "repeating"), await turn.each([nothing] * times, 4, "doing nothing"))
        for _ in range(2)
    ]
    cost = [sum_without_client(one) - sum_without_client(other) for one, other in pairs]
    return {"cpu_seconds_over_empty": statistics.mean(cost), "replay": pairs[-1][0], "empty": pairs[-1][1]}


async def webhooks(turn: Turn) -> Json:
    """Each of some paid orders is told of forty times, in no order, beside what the payment service sends."""
    bought, _ = await turn.buy(turn.size(50, 10))
    secret = turn.running.stack.credentials.webhook_secret
    tell = [events.completed(one, secret) for one in bought for _ in range(40)]

    async def send(body: bytes, headers: dict[str, str], customer: Customer) -> None:
        answer = await customer.gateway.request("POST", "/payment_webhook", body, headers)
        if answer.status != 200:
            raise CheckoutFailed(f"webhook: HTTP {answer.status}")

    paying = asyncio.create_task(turn.finish(bought, 5))
    told = await turn.each([partial(send, *one) for one in tell], CLIENTS, "telling")
    return {**told, "finish": await paying}


async def waiting(turn: Turn) -> Json:
    """Checkouts left waiting: what each takes of memory; then all of them are paid."""
    before = memory_bytes(turn.target.pids)
    bought, buying = await turn.buy(turn.size(10_000, 300))
    while_waiting = memory_bytes(turn.target.pids)
    finishing = await turn.finish(bought)
    await asyncio.sleep(turn.size(20, 3))
    after = memory_bytes(turn.target.pids)
    count = max(1, len(bought))
    return {
        "waiting": len(bought),
        "bytes_each": {part: (while_waiting[part] - before[part]) / count for part in before if part in while_waiting},
        "bytes_before": before,
        "bytes_after": after,
        "buying": buying,
        "finishing": finishing,
    }


async def restart(turn: Turn) -> Json:
    """The process that looks after waiting checkouts is killed; then all of them are paid."""
    bought, _ = await turn.buy(turn.size(1000, 100))
    part = "worker" if "worker" in turn.running.stack.config.running else "gateway"
    start = time.perf_counter()
    await turn.running.stack[part].kill()
    await turn.running.stack[part].wait_ready(timeout=60)
    seconds = time.perf_counter() - start
    return {"killed": part, "ready_again_after": seconds, **await turn.finish(bought)}


async def scale(turn: Turn) -> Json:
    """One, two and four workers and gateways, on the same cores."""
    from bench.scale import more_processes

    results = []
    for processes in (1, 2) if turn.quick else (1, 2, 4):
        async with more_processes(turn.running, processes - 1) as target:
            load = Load(CLIENTS, turn.size(300, 60), turn.size(60, 10), patience=PATIENCE)
            await warm_up(target, load, turn.watch, turn.phase)
            report, _ = await measured(target, load, turn.watch, turn.phase)
            results.append({"processes": processes, **report})
    return {"levels": results}


def sum_without_client(told: Json) -> float:
    """CPU seconds each, of all parts but the load generator."""
    spent: dict[str, float] = told["cpu_seconds_each"]
    return sum(seconds for part, seconds in spent.items() if part != "client")


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
