"""The matrix: every failpoint of the registry x {kill, freeze and thaw, reply lost}, and pairs of them.

Each cell sends a customer on the journey that passes the failpoint, hurts the process there, and wants the journey to
end as if nothing had happened, every customer's memory to be consistent, and the audit to be clean.
"""

import asyncio
import itertools
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from runtime.failpoints import Boundary, Step
from tests.campaigns.chaos.journeys import JOURNEY_OF
from tests.campaigns.chaos.trip import Trip
from tests.campaigns.chaos.verdicts import in_time
from tests.campaigns.chaos.world import World
from tests.campaigns.firing import Action
from tests.campaigns.registry import STEPS, Process

ACTIONS = (Action.KILL, Action.FREEZE, Action.LOSE)
# Longer than every limit on a transaction, a workflow task and a local activity (db.engine, worker.policies).
FREEZE = {Process.WORKER: 7.0, Process.GATEWAY: 3.0}  # seconds
_FIRES_WITHIN = 60.0  # seconds; the sweep, for one, must come round first


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

    @property
    def ok(self) -> bool:
        return self.problem is None


def cells() -> Iterator[Cell]:
    """All of them: the registry decides, so a new step cannot be forgotten."""
    for step, place in STEPS.items():
        for boundary in place.boundaries:
            for action in ACTIONS:
                yield Cell(step, boundary, action)


def pairs(seed: int, count: int) -> list[tuple[Cell, Cell]]:
    """So many pairs of cells on one journey, drawn by the seed from the thousands that there are."""
    every = list(cells())
    possible = [
        (first, second)
        for first, second in itertools.combinations(every, 2)
        if JOURNEY_OF[first.step] is JOURNEY_OF[second.step]
        and (first.step, first.boundary) != (second.step, second.boundary)
    ]
    return random.Random(seed).sample(possible, count)


async def run_cells(group: str, chosen: Sequence[Cell], world: World, hasty: str) -> Result:
    """Raises `Violated` or `Void` when the cells are not survived, or one of them never hurt."""
    if any(cell.action is Action.FREEZE and cell.process is Process.WORKER for cell in chosen):
        # A second worker takes over while the first one is frozen: when it thaws, it is a zombie.
        async with world.another("worker", "stand-in"):
            return await _run(group, chosen, world, hasty)
    return await _run(group, chosen, world, hasty)


async def _run(group: str, chosen: Sequence[Cell], world: World, hasty: str) -> Result:
    trip = Trip(world, hasty)
    armings = [world.failpoints.arm(cell.step, cell.boundary, cell.action) for cell in chosen]
    travelling = asyncio.ensure_future(JOURNEY_OF[chosen[0].step](trip))
    hurting = asyncio.gather(*(_hurt(world, cell, arming) for cell, arming in zip(chosen, armings, strict=True)))
    try:
        moments = await hurting
        outcome = await travelling
    finally:
        world.failpoints.disarm()
        for task in (travelling, hurting):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
    await world.settled()
    await world.quiet()
    await trip.check()
    moved = await moved_after(world, trip, max(moments)) if Action.KILL in {cell.action for cell in chosen} else None
    return Result(" + ".join(map(str, chosen)), group, outcome, recovery=moved)


async def _hurt(world: World, cell: Cell, arming: str) -> float:
    """Wait for the firing, thaw what it froze, and answer when it fired (unix seconds)."""
    firing = await world.failpoints.fired(arming, _FIRES_WITHIN)
    at = float(firing["at"])
    if cell.action is Action.FREEZE:
        await asyncio.sleep(max(0.0, at + FREEZE[cell.process] - time.time()))
        with suppress(ProcessLookupError):
            os.kill(firing["pid"], signal.SIGCONT)
    return at


async def moved_after(world: World, trip: Trip, moment: float) -> float | None:
    """Seconds from `moment` (unix) until one of the trip's orders had its next event."""
    orders = [customer.order_id for customer in trip.customers if customer.answers]

    async def ask() -> list[datetime] | None:
        rows = await world.query("SELECT at FROM shop.order_events WHERE order_id = ANY($1) ORDER BY at", orders)
        return [row[0] for row in rows]

    later = [at.timestamp() - moment for at in await in_time(ask, 10, "PostgreSQL is away")]
    return min((seconds for seconds in later if seconds > 0), default=None)
