"""Runs scenarios one after the other, each on a world that is known to be clean, and collects what came of them."""

import asyncio
import os
import random
import shutil
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.campaigns.chaos.catalogue import ROWS
from tests.campaigns.chaos.catalogue.row import run_row
from tests.campaigns.chaos.journeys import JOURNEY_OF
from tests.campaigns.chaos.matrix import Cell, Result, cells, pairs, run_cells
from tests.campaigns.chaos.race import race
from tests.campaigns.chaos.recovery import TARGETS, measure
from tests.campaigns.chaos.report import Report
from tests.campaigns.chaos.storm import Storm
from tests.campaigns.chaos.verdicts import Void
from tests.campaigns.chaos.world import HASTY_TIMEOUT, World
from tests.campaigns.registry import STEPS
from tests.support.stacks import data_dir

LONGEST = 300.0  # seconds for one scenario
RACE_OFFSETS = tuple(range(-50, 51, 2))  # milliseconds


@dataclass(frozen=True)
class Scenario:
    """`run(world, hasty)` where `hasty` is the gateway whose customers have little time."""

    name: str
    group: str
    run: Callable[[World, str], Awaitable[Result]]


def scenarios(seed: int = 0, pair_count: int = 0) -> list[Scenario]:
    """The matrix, pairs of its cells drawn by the seed, and the catalogue.

    Raises `Void` when a step of the registry has no journey that passes it.
    """
    if missing := STEPS.keys() - JOURNEY_OF.keys():
        raise Void(f"no journey passes {', '.join(missing)}")
    matrix = [_of_cells(f"{cell.process} failpoints", (cell,)) for cell in cells()]
    doubled = [_of_cells("Pairs of failpoints", pair) for pair in pairs(seed, pair_count)]
    catalogue = [Scenario(str(row), row.group, partial(run_row, row)) for row in ROWS]
    return [*matrix, *doubled, *catalogue]


def _of_cells(group: str, chosen: Sequence[Cell]) -> Scenario:
    return Scenario(" + ".join(map(str, chosen)), group, partial(run_cells, group, chosen))


@asynccontextmanager
async def running_world(folder: Path) -> AsyncIterator[tuple[World, str]]:
    """A world and its hasty gateway."""
    async with (
        World(folder) as world,
        world.another("gateway", "hasty-gateway", CHECKOUT_PAYMENT_TIMEOUT=str(HASTY_TIMEOUT)) as hasty,
    ):
        yield world, hasty


class Campaign:
    """`say` is told one line a scenario. Logs of a world in which something failed are kept in `folder`. `worlds` makes
    one."""

    def __init__(
        self,
        seed: int,
        folder: Path,
        say: Callable[[str], None],
        worlds: Callable[[Path], AbstractAsyncContextManager[tuple[World, str]]] = running_world,
    ) -> None:
        self._folder, self._worlds = folder, worlds
        self._say = say
        self._exit = AsyncExitStack()
        self._world: tuple[World, str] | None = None
        self._data: Path | None = None
        self._begun = time.monotonic()
        self.report = Report(seed, f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")

    async def run_scenarios(self, chosen: Sequence[Scenario]) -> None:
        """In an order that the seed decides: neighbours are pairs of faults, too."""
        shuffled = random.Random(self.report.seed).sample(chosen, len(chosen))
        for number, scenario in enumerate(shuffled, 1):
            result = await self._run(scenario)
            self.report.results.append(result)
            mark = "ok  " if result.ok else "FAIL"
            told = result.outcome if result.ok else result.problem
            self._say(f"[{number}/{len(shuffled)}] {mark} {result.seconds:5.1f} s  {scenario.name}  ->  {told}")

    async def _run(self, scenario: Scenario) -> Result:
        begun = time.monotonic()
        try:
            world, hasty = await self._get_world()
            async with asyncio.timeout(LONGEST):
                result = await scenario.run(world, hasty)
        except Exception as error:
            result = Result(scenario.name, scenario.group, problem=in_words(error))
            await self._abandon_world(scenario.name)
        result.seconds = time.monotonic() - begun
        return result

    async def run_race(self) -> None:
        await self._phase("the race", self._race)

    async def _race(self, world: World, hasty: str) -> None:
        self.report.race = await race(world, hasty, RACE_OFFSETS, at_least=10)
        won = self.report.race
        self._say(f"race: {won.paid.total()} paid, {won.closed.total()} closed, closing {won.lag * 1000:.0f} ms late")

    async def run_recovery(self, samples: int) -> None:
        for what in TARGETS:
            await self._phase(f"recovery of {what}", partial(self._recover, what, samples))

    async def _recover(self, what: str, samples: int, world: World, hasty: str) -> None:
        one = await measure(world, hasty, what, samples)
        self.report.recoveries.append(one)
        verdict = "met" if one.is_met else "MISSED"
        self._say(f"recovery: {what}: median {one.p50:.2f} s, p99 {one.p99:.2f} s, target {one.target:g} s {verdict}")

    async def run_storm(self, minutes: float) -> None:
        await self._phase("the storm", partial(self._storm, minutes))

    async def _storm(self, minutes: float, world: World, hasty: str) -> None:
        storm = Storm(world, hasty, seed=self.report.seed, on_progress=self._say)
        self.report.storms.append(await storm.run(minutes * 60))
        # Signals are on the world's own list already.
        told = self.report.storms[-1].faults.items()
        self.report.faults.update({name: count for name, count in told if not name.startswith("SIG")})

    async def run_schedules(self, count: int, python: str = sys.executable) -> None:
        """In processes of their own, on the time-skipping server; a failure prints there how to replay it."""
        await self._close_world()
        begun = time.monotonic()
        child = await asyncio.create_subprocess_exec(
            *(
                python,
                "-m",
                "tests.campaigns.schedules",
                "--schedules",
                str(count),
                "--seed",
                str(self.report.seed),
            )
        )
        try:
            code = await child.wait()
        finally:
            if child.returncode is None:
                child.terminate()
                await child.wait()
        self.report.schedules = (count, time.monotonic() - begun)
        if code != 0:
            self.report.problems.append(f"random schedules: seed {self.report.seed}, see above how to replay")

    async def _phase(self, name: str, run: Callable[[World, str], Awaitable[None]]) -> None:
        try:
            world, hasty = await self._get_world()
            await run(world, hasty)
        except Exception as error:
            self.report.problems.append(f"{name}: {in_words(error)}")
            self._say(f"FAIL {name}: {in_words(error)}")
            await self._abandon_world(name)

    async def finish(self) -> None:
        """Stop the world and write the report."""
        await self._close_world()
        self.report.seconds = time.monotonic() - self._begun
        self.report.write(self._folder)

    async def _get_world(self) -> tuple[World, str]:
        if self._world is None:
            self._data = self._exit.enter_context(data_dir())
            self._world = await self._exit.enter_async_context(self._worlds(self._data / "stack"))
        return self._world

    async def _abandon_world(self, why: str) -> None:
        """What broke once may look broken to all that follow: they get a new world, and the old one's logs are kept."""
        if self._data is not None:
            name = "".join(letter if letter.isalnum() else "-" for letter in why)
            shutil.copytree(self._data / "stack" / "logs", self._folder / "failed" / name, dirs_exist_ok=True)
        await self._close_world()

    async def _close_world(self) -> None:
        if self._world is not None:
            self.report.faults.update(self._world[0].faults)
        self._world = self._data = None
        await self._exit.aclose()


def in_words(error: BaseException) -> str:
    """One line; of an error nobody expected, where it came from too."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, AssertionError):
        return text
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{text} ({Path(last.filename).name}:{last.lineno})"
