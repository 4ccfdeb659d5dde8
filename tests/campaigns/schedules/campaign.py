"""Draw schedules, act each out, check; shrink what fails and say how to see it again."""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from hypothesis import HealthCheck, Phase, given, seed, settings

from db.engine import create_engine
from stack.config import StackConfig
from stack.stack import Stack
from tests.campaigns.schedules.actors import Actors, Violated
from tests.campaigns.schedules.invariants import check, quiesce
from tests.campaigns.schedules.provider import LedgerProvider
from tests.campaigns.schedules.steps import WEIGHTS, Schedule, schedules, to_blob, told
from tests.campaigns.schedules.world import World
from tests.support.databases import DatabaseServer

_LIMIT = 60.0  # seconds, real, for one schedule
# In a run of this many every verb, fault and outcome must have occurred, or the run proves less than it claims.
ENOUGH = 1000
_OUTCOMES = (
    "dispatched",
    "rejected:out_of_stock",
    "rejected:payment_unavailable",
    "cancelled:customer",
    "cancelled:timeout",
    "cancelled:operator",
    "cancelled:payment_failed",
    "refunded:late_payment",
    "refunded:payment_mismatch",
    "refunded:operator",
)
_FAULTS = (
    *(f"unreachable {operation}" for operation in ("create", "retrieve", "expire", "refund")),
    *(f"reply lost {operation}" for operation in ("create", "expire", "refund")),
    *(f"refused {operation}" for operation in ("create", "retrieve", "expire", "refund")),
    "sticky_500",
    "paid at the deadline",
    "refund made elsewhere noticed",
)
REQUIRED = (
    *(verb for verb in WEIGHTS if verb not in ("unreachable", "reply_lost", "refused", "sticky_500", "pay_at_expiry")),
    *(f"fault {name}" for name in _FAULTS),
    *(f"outcome {name}" for name in _OUTCOMES),
    "orphan handed to a settlement",
    "payment looked at",
    "refund made again",
    "part given back",
    "lost to a dispute",
    "reordered",
    "answered 202",
)


class Failed(Exception):
    """A schedule broke a promise. `schedule` is the shortest found."""

    def __init__(self, schedule: Schedule, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.schedule = schedule

    def __str__(self) -> str:
        return (
            f"{super().__str__()}\n{told(self.schedule)}\n"
            f"See it again: python -m tests.campaigns.schedules --replay {to_blob(self.schedule)}"
        )


class Stage:
    """`with`: servers, and an event loop that runs while a schedule does. Hypothesis is synchronous.

    `server` is somebody's PostgreSQL, which then must be kept running in another thread; else it has its own.
    """

    def __init__(self, provider: LedgerProvider | None = None, server: DatabaseServer | None = None) -> None:
        self._provider, self._server = provider or LedgerProvider(), server
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()
        self.world: World

    def __enter__(self) -> Self:
        self._runner.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._open.aclose())
        self._runner.close()

    async def _start(self) -> None:
        server = self._server or await self._own_server()
        url = await self._open.enter_async_context(server.copy())
        engine = create_engine(
            url, pool_size=10, application_name="schedules", pool_timeout=30, connect_timeout=10, command_timeout=30
        )
        self._open.push_async_callback(engine.dispose)
        self.world = await self._open.enter_async_context(World(engine, url, self._provider))

    async def _own_server(self) -> DatabaseServer:
        folder = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="checkout-schedules-")))
        await asyncio.to_thread(folder.chmod, 0o755)
        stack = await self._open.enter_async_context(
            Stack(StackConfig.for_tests(folder / "postgres", parts=("postgres",)))
        )
        server = DatabaseServer(stack.database_url)
        await server.prepare()
        return server

    def act_out(self, schedule: Schedule) -> None:
        """Raises `Violated`, or whatever else went wrong."""
        self._runner.run(_act_out(self.world, schedule))


async def _act_out(world: World, schedule: Schedule) -> None:
    try:
        async with asyncio.timeout(_LIMIT):
            await world.reset()
            actors = Actors(world)
            for step in schedule:
                await actors.act(step)
            await quiesce(world, actors)
            await check(world, actors)
    except BaseException as error:
        # Whatever still runs there would act on the next schedule.
        await world.lose_temporal()
        if isinstance(error, TimeoutError):
            raise Violated(f"6: no end within {_LIMIT:.0f} s") from error
        raise


def counts_of(world: World) -> Counter[str]:
    """What happened, with the faults that really fired."""
    return world.counts + Counter({f"fault {name}": count for name, count in world.provider.faults.items()})


def missing(counts: Counter[str]) -> list[str]:
    return [name for name in REQUIRED if not counts[name]]


def run(stage: Stage, number: int, first_seed: int, on_progress: Callable[[int], None] = lambda _: None) -> int:
    """Act out `number` schedules of the seed. Answers how many passed; raises `Failed` with the shortest that fails."""
    passed = 0
    worst: Failed | None = None

    @seed(first_seed)
    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(schedules())
    def one(schedule: Schedule) -> None:
        nonlocal passed, worst
        try:
            stage.act_out(schedule)
        except Exception as error:
            if worst is None:
                print(f"\nA schedule fails ({type(error).__name__}: {str(error)[:500]}); looking for a shorter one."
                      f" This one: --replay {to_blob(schedule)}", file=sys.stderr, flush=True)  # fmt: skip
            if worst is None or len(schedule) <= len(worst.schedule):
                worst = Failed(schedule, error)
            raise
        if worst is None:
            passed += 1
            on_progress(passed)

    try:
        one()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or worst is None:
            raise
        raise _without_what_it_does_not_take(stage, worst) from error
    return passed


def _without_what_it_does_not_take(stage: Stage, failed: Failed) -> Failed:
    """Hypothesis shrinks what it drew, a scene as one thing; this leaves out single steps, the last one first."""
    at = len(failed.schedule)
    while at > 0:
        at -= 1
        shorter = [*failed.schedule[:at], *failed.schedule[at + 1 :]]
        try:
            stage.act_out(shorter)
        except Exception as error:
            failed, at = Failed(shorter, error), len(shorter)
    return failed


def progress(number: int) -> Callable[[int], None]:
    """A line now and then: how many, how fast, how long still."""
    began = last = time.monotonic()

    def show(passed: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < 5 and passed < number:
            return
        last = now
        rate = passed / (now - began)
        print(
            f"{passed}/{number} schedules, {60 * rate:.0f} a minute, {(number - passed) / rate:.0f} s left", flush=True
        )

    return show
