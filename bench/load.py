"""The load itself: customers who buy, pay and wait; how many a second, how long each, and whose CPU it took.

Reports are plain documents, as `--json` prints them. Durations are seconds.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import count
from typing import Any

from bench.customer import CheckoutFailed, Customer, Target, Watch, customer_of, new_key
from bench.machine import CpuMeter
from bench.progress import Phase, silent

Json = dict[str, Any]
Job = Callable[[Customer], Awaitable[None]]


@dataclass(frozen=True)
class Load:
    """`clients` customers buy `checkouts` things, after `warmup` that do not count.

    `rate` starts at most so many a second (open loop); without it every client begins again when it is done.
    `patience` (seconds) bounds one checkout from Buy to fulfilled. `skus` are bought in turn, one piece each.
    """

    clients: int = 30
    checkouts: int = 300
    warmup: int = 30
    skus: tuple[str, ...] = ("pen",)
    rate: float | None = None
    patience: float = 60.0


@dataclass
class Tally:
    """What one run collects. Instants are of `time.perf_counter`."""

    began: float = math.nan
    took: float = math.nan
    times: list[float] = field(default_factory=list)
    """Of each job that did not fail."""
    cpu: dict[str, float] = field(default_factory=dict)
    """Seconds by part, as `CpuMeter` tells it."""
    others: float | None = None
    errors: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    answered: list[float] = field(default_factory=list)
    """Buy until the gateway's 200, for each checkout."""
    fulfilled: dict[str, float] = field(default_factory=dict)
    """Buy until fulfilled, by the order that was."""
    first_buy: float = math.inf
    last_fulfilled: float = -math.inf

    @property
    def seconds(self) -> float:
        """From the first Buy to the last fulfilment: everything paid for lies within."""
        return self.last_fulfilled - self.first_buy if self.fulfilled else 0.0

    @property
    def throughput(self) -> float:
        """Paid and fulfilled checkouts a second."""
        return len(self.fulfilled) / self.seconds if self.seconds > 0 else 0.0

    def report(self, load: Load) -> Json:
        served = max(1, len(self.fulfilled))
        return {
            "load": asdict(load),
            "seconds": self.seconds,
            "fulfilled": len(self.fulfilled),
            "throughput": self.throughput,
            "buy_to_answer": latency(self.answered),
            "buy_to_fulfilled": latency(self.fulfilled.values()),
            "errors": dict(self.errors),
            "retries": self.retries,
            "cpu_seconds_per_checkout": {name: spent / served for name, spent in self.cpu.items()},
            "others_cpu_share": self.others,
        }


async def serve(target: Target, jobs: Sequence[Job], clients: int, tally: Tally, phase: Phase, name: str) -> None:
    """Have every job done once, by `clients` customers; what failed is counted by its kind."""
    queue, done = iter(jobs), count(1)

    async def client(number: int) -> None:
        async with customer_of(target, number) as customer:
            for job in queue:
                start = time.perf_counter()
                try:
                    await job(customer)
                    tally.times.append(time.perf_counter() - start)
                except CheckoutFailed as failed:
                    tally.errors[str(failed)] += 1
                phase(name, next(done), len(jobs))
            tally.retries += customer.retries

    with CpuMeter(target.pids) as meter:
        tally.began = time.perf_counter()
        await asyncio.gather(*(client(number) for number in range(min(clients, len(jobs)))))
        tally.took = time.perf_counter() - tally.began
    tally.cpu, tally.others = meter.spent, meter.others if target.pids else None


async def run_load(target: Target, load: Load, watch: Watch, phase: Phase = silent, name: str = "measuring") -> Tally:
    """`load.checkouts` checkouts, warm-up not included. Nothing is raised for one that fails."""
    tally = Tally()

    async def checkout(ticket: int, customer: Customer) -> None:
        start = time.perf_counter()
        if load.rate:
            # When all clients are busy at the due time the waiting counts: the customer was there.
            start = tally.began + ticket / load.rate
            await asyncio.sleep(max(0.0, start - time.perf_counter()))
        tally.first_buy = min(tally.first_buy, start)
        deadline = start + load.patience
        bought = await customer.buy(new_key(), load.skus[ticket % len(load.skus)], deadline)
        tally.answered.append(time.perf_counter() - start)
        await customer.finish(bought, watch, deadline)
        tally.last_fulfilled = time.perf_counter()
        tally.fulfilled[bought.order_id] = tally.last_fulfilled - start

    jobs = [partial(checkout, ticket) for ticket in range(load.checkouts)]
    await serve(target, jobs, load.clients, tally, phase, name)
    return tally


async def warm_up(target: Target, load: Load, watch: Watch, phase: Phase) -> None:
    if load.warmup:
        await run_load(target, replace(load, checkouts=load.warmup, warmup=0, rate=None), watch, phase, "warm-up")


async def measure(target: Target, load: Load, phase: Phase = silent) -> tuple[Json, Tally]:
    """Warm up, run the load and report. Nothing is raised for a failed checkout: the report's `ok` says so."""
    async with Watch(target) as watch:
        await warm_up(target, load, watch, phase)
        tally = await run_load(target, load, watch, phase)
    is_ok = not tally.errors and len(tally.fulfilled) == load.checkouts
    return {"ok": is_ok, **tally.report(load), "watched_by": watch.by}, tally


def latency(values: Collection[float]) -> Json | None:
    """Nearest-rank percentiles: the smallest value that at least so many % do not exceed.

    Always a value that was measured, never one between two (so the p99 of 50 values is the largest). None of none.
    """
    if not values:
        return None
    ranked = sorted(values)
    ranks = {f"p{percent}": ranked[math.ceil(len(ranked) * percent / 100) - 1] for percent in (50, 90, 99)}
    return {"count": len(ranked), **ranks, "max": ranked[-1]}
