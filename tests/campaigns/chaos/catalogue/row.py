"""A row of the catalogue, and how it is run: quiet afterwards, the audit clean, every customer's memory consistent."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.campaigns.chaos.matrix import Result
from tests.campaigns.chaos.trip import Trip
from tests.campaigns.chaos.world import World


@dataclass(frozen=True)
class Row:
    """`group` is the chapter; the name is the coroutine's, as a sentence."""

    group: str
    run: Callable[[Trip], Awaitable[str]]

    def __str__(self) -> str:
        return f"{self.group}: {self.run.__name__.replace('_', ' ')}"


async def run_row(row: Row, world: World, hasty: str) -> Result:
    """Raises `Violated` or `Void` when the fault is not survived, or did not happen."""
    trip = Trip(world, hasty)
    try:
        outcome = await row.run(trip)
        await world.settled()
        await world.quiet()
        await trip.check()
    finally:
        world.failpoints.disarm()
        await world.settled()
        await world.http.delete(f"{world.payment}/_faults")
    return Result(str(row), row.group, outcome)
