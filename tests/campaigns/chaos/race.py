"""The race of a payment against its deadline: both moments in small steps past each other, and never both results.

A shop that only looks at its own clock releases the stock at the deadline and keeps the money of whoever paid in the
same instant. Ours closes the session at the provider first, so the provider's row decides, and "complete" means fulfil.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.campaigns.chaos.customer import Customer
from tests.campaigns.chaos.trip import Trip
from tests.campaigns.chaos.verdicts import Violated, Void
from tests.campaigns.chaos.world import HASTY_TIMEOUT, World

TOGETHER = 4  # racers at once: more would only measure how slow the machine is
STARTS = 5  # of one racer
BEYOND_DOUBT = 500  # milliseconds before the expected closing
_LEAD = HASTY_TIMEOUT * 0.4  # seconds before the deadline by which a racer must be on the line


@dataclass
class RaceResult:
    """`paid` and `closed` count the outcomes by the payment's offset (milliseconds from the expected closing)."""

    lag: float
    """Seconds from an order's deadline to the closing of its session, as a rule."""
    paid: Counter[int] = field(default_factory=Counter)
    closed: Counter[int] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.paid.total() + self.closed.total()


async def race(world: World, hasty: str, offsets: Sequence[int], *, at_least: int) -> RaceResult:
    """Race once for every offset. Raises `Violated` on a wrong end, `Void` unless each side won `at_least` times."""
    result = RaceResult(await _usual_lag(world, hasty))
    for first in range(0, len(offsets), TOGETHER):
        together = offsets[first : first + TOGETHER]
        await asyncio.gather(*(_until_run(world, hasty, offset, result) for offset in together))
    world.note("payment raced its deadline")
    await world.quiet()
    if min(result.paid.total(), result.closed.total()) < at_least:
        raise Void(f"{result.paid.total()} times paid, {result.closed.total()} times closed: no race")
    return result


async def _usual_lag(world: World, hasty: str) -> float:
    trip = Trip(world, hasty)
    customers = [trip.customer(gateway=hasty) for _ in range(TOGETHER)]
    await asyncio.gather(*(customer.buy() for customer in customers))
    await asyncio.gather(*(customer.until("cancelled") for customer in customers))
    rows = await world.query(
        "SELECT extract(epoch FROM s.closed_at - o.expires_at) FROM shop.orders o"
        " JOIN payments.sessions s ON s.id = o.payment_session_id WHERE o.id = ANY($1)",
        [customer.order_id for customer in customers],
    )
    return float(median(float(row[0]) for row in rows))


async def _until_run(world: World, hasty: str, offset: int, result: RaceResult) -> None:
    """Who is too slow to the line is replaced, a few times."""
    for _ in range(STARTS):
        if await _run_one(world, hasty, offset, result):
            return


async def _run_one(world: World, hasty: str, offset: int, result: RaceResult) -> bool:
    customer = Customer(world, gateway=hasty)
    if not await customer.buy():
        raise Violated(f"Buy was refused with {customer.refusal}")
    rows = await world.query(
        "SELECT extract(epoch FROM expires_at), extract(epoch FROM expires_at - clock_timestamp())"
        " FROM shop.orders WHERE id = $1",
        customer.order_id,
    )
    deadline, left = float(rows[0][0]), float(rows[0][1])
    if left < _LEAD:
        return False  # too slow to the line: its payment would come late, and prove nothing
    # Far before the closing is before the deadline itself, should the usual lag have been measured in a bad moment.
    at = deadline + (result.lag if offset > -BEYOND_DOUBT else 0) + offset / 1000
    body = {"session_id": customer.session_id, "at": at}
    answer = await world.http.post(f"{world.payment}/_faults/pay", json=body, timeout=20)
    answer.raise_for_status()
    customer.has_paid = bool(answer.json()["paid"])
    order = await customer.until("dispatched", "cancelled")
    if customer.has_paid is not (order["status"] == "dispatched"):
        raise Violated(f"order {customer.order_id} was paid: {customer.has_paid}, and is {order['status']}")
    await customer.check()
    (result.paid if customer.has_paid else result.closed)[offset] += 1
    return True
