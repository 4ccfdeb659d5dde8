"""The matrix: every failpoint of the registry x {kill, freeze and thaw, reply lost}.

Each cell sends a customer on the journey that passes the failpoint, hurts the process there, and wants the journey to
end as if nothing had happened, every customer's memory to be consistent, and the audit to be clean.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from checkout.failpoints import STEPS, Action, Boundary, Process, Step
from tests.chaos.journeys import JOURNEY_OF, Trip
from tests.chaos.world import World, eventually

ACTIONS = (Action.KILL, Action.FREEZE, Action.LOSE)
# Longer than every limit on a transaction, a workflow task and a local activity (db.engine, worker.policies).
FREEZE = {Process.WORKER: 7.0, Process.GATEWAY: 3.0}  # seconds


@dataclass(frozen=True)
class Cell:
    """One failpoint and what is done there."""

    step: Step
    boundary: Boundary
    action: Action

    @property
    def process(self) -> Process:
        return STEPS[self.step].process

    def __str__(self) -> str:
        return f"{self.process} {self.step}.{self.boundary} {self.action}"


@dataclass
class Result:
    """What a scenario came to. `recovery`: seconds from the fault until the order moved again, where it says much."""

    name: str
    group: str
    outcome: str = ""
    problem: str | None = None
    recovery: float | None = None
    seconds: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.problem is None


def cells() -> Iterator[Cell]:
    """All of them: the registry decides, so a new step cannot be forgotten."""
    for step, place in STEPS.items():
        for boundary in place.boundaries:
            for action in ACTIONS:
                yield Cell(step, boundary, action)


async def run_cell(cell: Cell, world: World, hasty: str) -> Result:
    """Raises `Violated` or `Void` when the cell is not survived, or was never hurt."""
    if cell.action is Action.FREEZE and cell.process is Process.WORKER:
        # A second worker takes over while the first one is frozen: when it thaws, it is a zombie.
        async with world.another("worker", "worker-2"):
            return await _run(world, cell, hasty)
    return await _run(world, cell, hasty)


async def _run(world: World, cell: Cell, hasty: str) -> Result:
    trip = Trip(world, hasty)
    arming = world.arm(cell.step, cell.boundary, cell.action)
    travelling = asyncio.ensure_future(JOURNEY_OF[cell.step](trip))
    try:
        firing = await world.fired(arming, within=45)
        if cell.action is Action.FREEZE:
            await asyncio.wait([travelling], timeout=FREEZE[cell.process])
            await asyncio.sleep(max(0.0, firing["at"] + FREEZE[cell.process] - time.time()))
            os.kill(firing["pid"], signal.SIGCONT)
        outcome = await travelling
    finally:
        world.disarm()
        travelling.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await travelling
    await world.settled()
    await world.quiet()
    await trip.check()
    moved = await moved_after(world, trip, firing["at"]) if cell.action is Action.KILL else None
    return Result(str(cell), f"{cell.process} failpoints", outcome, recovery=moved)


async def moved_after(world: World, trip: Trip, moment: float) -> float | None:
    """Seconds from `moment` (unix) until one of the trip's orders had its next event."""
    orders = [customer.order_id for customer in trip.customers if customer.answers]

    async def ask() -> list[datetime] | None:
        rows = await world.query("SELECT at FROM shop.order_events WHERE order_id = ANY($1) ORDER BY at", orders)
        return [row[0] for row in rows]

    later = [at.timestamp() - moment for at in await eventually(ask, 10, "PostgreSQL is away")]
    return min((seconds for seconds in later if seconds > 0), default=None)
