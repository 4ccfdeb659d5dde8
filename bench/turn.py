"""A contestant's turn: what any workload does to a shop that runs: load it, buy, pay, each of some actions once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from bench.contestants import Running
from bench.customer import Bought, CheckoutFailed, Customer, customer_of
from bench.measure import Json, Phase, latency, measured
from bench.processes import CpuMeter
from bench.run import new_key, pay_and_wait
from bench.target import Load, Target
from bench.watch import Watch

CLIENTS = 30
PATIENCE = 120.0  # seconds


@dataclass
class Turn:
    """One contestant that runs, warm, and what this turn has found out about it."""

    running: Running
    watch: Watch
    quick: bool
    phase: Phase
    found: dict[str, Json] = field(default_factory=dict)

    @property
    def target(self) -> Target:
        return self.running.target

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    async def load(self, clients: int, checkouts: int, **more: object) -> Json:
        load = Load(clients, checkouts, 0, patience=PATIENCE, **more)  # type: ignore[arg-type] # fields of Load
        return (await measured(self.target, load, self.watch, self.phase))[0]

    async def buy(self, checkouts: int, clients: int = CLIENTS, sku: str = "pen") -> tuple[list[Bought], Json]:
        """Buy and do not pay."""
        bought: list[Bought] = []
        times: list[float] = []

        async def one(customer: Customer) -> None:
            start = time.perf_counter()
            bought.append(await customer.buy(new_key(), sku, start + PATIENCE))
            times.append(time.perf_counter() - start)

        told = await self.each([one] * checkouts, clients, "buying")
        return bought, {**told, "buy_to_answer": latency(times)}

    async def finish(self, bought: list[Bought], clients: int = CLIENTS) -> Json:
        """Pay what was bought and wait until all of it is fulfilled."""
        times: list[float] = []

        async def one(which: Bought, customer: Customer) -> None:
            start = time.perf_counter()
            await pay_and_wait(customer, which, self.watch, start + PATIENCE)
            times.append(time.perf_counter() - start)

        told = await self.each([partial(one, each) for each in bought], clients, "paying")
        return {**told, "pay_to_fulfilled": latency(times)}

    async def each(self, actions: Sequence[Callable[[Customer], Awaitable[None]]], clients: int, name: str) -> Json:
        """Every action once, `clients` at a time; what failed is counted by its kind, CPU by the process."""
        errors: dict[str, int] = {}
        queue, done, target = iter(actions), count(1), self.target
        meter = CpuMeter(target.pids)

        async def client(number: int) -> None:
            async with customer_of(target, number) as customer:
                for action in queue:
                    try:
                        await action(customer)
                    except CheckoutFailed as failed:
                        errors[str(failed)] = errors.get(str(failed), 0) + 1
                    self.phase(name, next(done), len(actions))

        meter.start()
        start = time.perf_counter()
        await asyncio.gather(*(client(number) for number in range(min(clients, len(actions)))))
        seconds = time.perf_counter() - start
        cpu = {part: spent / max(1, len(actions)) for part, spent in meter.stop().items()}
        return {
            "count": len(actions),
            "clients": clients,
            "seconds": seconds,
            "a_second": len(actions) / seconds,
            "cpu_seconds_each": cpu,
            "others_cpu_share": meter.others,
            "errors": errors,
        }
