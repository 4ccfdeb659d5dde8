"""How long a customer waits because something was killed (SIGKILL, then the supervisor): samples and their targets."""

import asyncio
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

import httpx

from runtime.failpoints import Boundary, Step
from tests.campaigns.chaos.customer import Customer
from tests.campaigns.chaos.journeys import pay
from tests.campaigns.chaos.matrix import moved_after
from tests.campaigns.chaos.trip import Trip
from tests.campaigns.chaos.verdicts import Violated
from tests.campaigns.chaos.world import World
from tests.campaigns.firing import Action

TARGETS: Mapping[str, float] = {
    "worker, in the middle of a step": 5.0,
    "worker, while an order waits": 5.0,
    "gateway": 3.0,
    "payment": 3.0,
    "postgres": 5.0,
    "temporal": 10.0,
}
"""Seconds, for the 99th percentile (of few samples: the worst)."""

# Where an order is when the worker dies under it, in turn.
_STEPS = (
    (Step.OPEN_ORDER, Boundary.BEFORE_COMMIT),
    (Step.OPEN_ORDER, Boundary.AFTER),
    (Step.CREATE_AT_PROVIDER, Boundary.BEFORE),
    (Step.CREATE_AT_PROVIDER, Boundary.AFTER),
    (Step.RECORD_SESSION, Boundary.AFTER),
    (Step.RETRIEVE_AT_PROVIDER, Boundary.AFTER),
    (Step.FULFIL_ORDER, Boundary.BEFORE),
    (Step.FULFIL_ORDER, Boundary.BEFORE_COMMIT),
    (Step.DISPATCH_ORDER, Boundary.BEFORE),
)
_PAUSE = 0.02
_PATIENCE = 60.0


@dataclass
class Recovery:
    """The samples of one kind of death, in seconds."""

    what: str
    samples: list[float] = field(default_factory=list)

    @property
    def target(self) -> float:
        return TARGETS[self.what]

    @property
    def p50(self) -> float:
        return median(self.samples)

    @property
    def p99(self) -> float:
        """Of fewer than a hundred samples, the worst."""
        ordered = sorted(self.samples)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]

    @property
    def is_met(self) -> bool:
        return self.p99 <= self.target


async def measure(world: World, hasty: str, what: str, samples: int) -> Recovery:
    """Kill it `samples` times, and time it."""
    recovery = Recovery(what)
    steps = itertools.cycle(_STEPS)
    for _ in range(samples):
        if what.startswith("worker, in"):
            seconds = await _worker_in_a_step(world, hasty, *next(steps))
        elif what.startswith("worker"):
            seconds = await _worker_while_an_order_waits(world)
        else:
            seconds = await _server(world, what)
        recovery.samples.append(seconds)
        await world.settled()
    await world.quiet()
    return recovery


async def _worker_in_a_step(world: World, hasty: str, step: Step, boundary: Boundary) -> float:
    """From the death under an order until that order's next event."""
    trip = Trip(world, hasty)
    arming = world.failpoints.arm(step, boundary, Action.KILL)
    travelling = asyncio.ensure_future(pay(trip))
    try:
        firing = await world.failpoints.fired(arming)
        await travelling
    finally:
        world.failpoints.disarm()
        travelling.cancel()
    moved = await moved_after(world, trip, firing["at"])
    if moved is None:
        raise Violated("the order never moved again")
    return moved


async def _worker_while_an_order_waits(world: World) -> float:
    """The worker dies, the customer pays at once: from the death until the order is fulfilled."""
    customer = Customer(world)
    await customer.buy()
    begun = time.time()
    await world.kill("worker")
    await customer.pay()
    await customer.until("dispatched")
    rows = await world.query(
        "SELECT extract(epoch FROM at) FROM shop.order_events WHERE order_id = $1 AND kind = 'fulfilled'",
        customer.order_id,
    )
    return float(rows[0][0]) - begun


async def _server(world: World, part: str) -> float:
    """From the death until the next customer is served: a new checkout, or a look at the payment page."""
    customer = Customer(world)
    await customer.buy()
    begun = time.monotonic()
    await world.kill(part)
    if part == "payment":
        await _answered("GET", f"{world.payment}/payment/{customer.session_id}")
    else:
        await _answered("POST", f"{world.gateway}/checkout/{customer.key}-again")
    return time.monotonic() - begun


async def _answered(method: str, url: str) -> None:
    """Ask again and again, on a fresh connection each time, until the answer is 200."""
    deadline = time.monotonic() + _PATIENCE
    async with httpx.AsyncClient(timeout=5, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)) as http:
        while time.monotonic() < deadline:
            try:
                if (await http.request(method, url)).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(_PAUSE)
    raise Violated(f"{url} did not come back within {_PATIENCE:g} s")
