"""One run on one machine: every contestant in turn, round after round.

A turn starts a contestant, warms it up, does to it what is to be done and stops it, so that nobody else's processes
take part. Whatever the machine does meanwhile, it does to all: A B C, A B C, A B C.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from bench import machine
from bench.contestants import Contestant, Running, running
from bench.customer import Watch
from bench.load import Json, Load, warm_up
from bench.progress import Phase
from bench.report import summarize
from bench.workloads import CLIENTS, SPREAD, Turn, Workload
from db.audit import audit_ledgers
from db.catalogue import restock
from db.engine import brief_engine
from db.invariants import Finding
from stack.config import StackConfig
from stack.stack import Stack

_ENV = {"CHECKOUT_PAYMENT_TIMEOUT": "7200"}  # nothing that waits ends by itself
_ENOUGH = 1_000_000


@dataclass(frozen=True)
class Plan:
    contestants: Sequence[Contestant]
    workloads: Sequence[Workload]
    rounds: int = 3
    quick: bool = False

    def turns(self) -> list[tuple[int, Contestant, list[Workload]]]:
        """(round, who, what), in order. Workloads that do not repeat are done in the last round."""
        turns = []
        for number in range(1, self.rounds + 1):
            for who in self.contestants:
                is_thorough = number == self.rounds and not who.brief
                what = [each for each in self.workloads if each.repeats or is_thorough]
                what = [each for each in what if each.peers or who.name == "ours"]
                if what:
                    turns.append((number, who, what))
        return turns


async def compare(plan: Plan, folder: Path, phase: Phase) -> Json:
    """Runs the plan over data in `folder`."""
    results: list[Json] = []
    document: Json = {
        "machine": machine.describe(folder),
        "quick": plan.quick,
        "rounds": plan.rounds,
        "results": results,
    }
    turns = plan.turns()
    # Commits reach the disk, as in `checkout up`.
    async with Stack(StackConfig.for_tests(folder / "postgres", parts=("postgres",), fsync=True)) as postgres:
        for index, (number, who, what) in enumerate(turns):
            told = _labelled(phase, f"[{index + 1}/{len(turns)}] {who.title}")
            found = await _turn(who, what, plan.quick, postgres, folder, told)
            results += [{"who": who.name, "round": number, "workload": name, **one} for name, one in found.items()]
    document["load_average_after"] = machine.load_average()
    document["summary"] = summarize(results)
    return document


def _labelled(phase: Phase, label: str) -> Phase:
    return lambda name, done, total: phase(f"{label}: {name}", done, total)


async def _turn(
    who: Contestant, what: list[Workload], quick: bool, postgres: Stack, folder: Path, phase: Phase
) -> dict[str, Json]:
    """Results by workload. Errors are results, too: an hour of other turns is not lost for one."""
    found: dict[str, Json] = {}
    is_shop = who.dialect == "shop"
    phase("starting", 0, 1)
    try:
        async with running(who, postgres, folder, **_ENV) as shop:
            if is_shop:
                async with _connected(shop) as connection:
                    for sku in SPREAD:  # everything but the ten prints
                        await restock(connection, sku, _ENOUGH)
            async with Watch(shop.target) as watch:
                turn = Turn(shop, watch, quick, phase, found)
                await warm_up(shop.target, Load(CLIENTS, warmup=turn.size(120, 30)), watch, phase)
                for workload in what:
                    start = time.perf_counter()
                    try:
                        result = await workload.do(turn)
                    except Exception as error:
                        result = _failure(error)
                    found[workload.name] = {"took": time.perf_counter() - start, **result}
            if is_shop:
                phase("auditing", 0, 1)
                has_warehouse = "worker" in who.parts and not who.instead
                async with _connected(shop) as connection:
                    findings = await audit_ledgers(connection, timedelta(seconds=5))
                found["audit"] = {"violations": _violations(findings, has_warehouse)}
    except Exception as error:
        found["turn"] = _failure(error)
    return found


def _failure(error: Exception) -> Json:
    return {"failed": f"{type(error).__name__}: {error}"}


@asynccontextmanager
async def _connected(shop: Running) -> AsyncIterator[AsyncConnection]:
    async with brief_engine(shop.stack.database_url, command_timeout=120) as engine, engine.begin() as connection:
        yield connection


def _violations(findings: Sequence[Finding], has_warehouse: bool) -> dict[str, int]:
    """How many violations by the check's name. The same auditor for all: what is sold fast and wrong is no checkout.
    Peers have no warehouse: overdue parcels of theirs are not counted."""
    counted = {
        finding.name: sum(has_warehouse or "due for dispatch" not in told for told in finding.violations)
        for finding in findings
    }
    return {name: count for name, count in counted.items() if count}
