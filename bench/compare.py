"""One run on one machine: every contestant in turn, round after round, and what comes out of it.

A turn starts a contestant, warms it up, does to it what is to be done and stops it, so that nobody else's processes
take part. Whatever the machine does meanwhile, it does to all: A B C, A B C, A B C.
"""

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg

from bench import machine
from bench.contestants import Contestant, Postgres, running
from bench.measure import Json, Phase, warm_up
from bench.target import Load
from bench.turn import CLIENTS, Turn
from bench.watch import Watch
from bench.workloads import SPREAD, Workload
from db.audit import audit_ledgers
from db.engine import create_engine

_ENV = {"CHECKOUT_PAYMENT_TIMEOUT": "7200"}  # nothing that waits ends by itself
_STOCK = 1_000_000


@dataclass(frozen=True)
class Plan:
    contestants: Sequence[Contestant]
    workloads: Sequence[Workload]
    rounds: int = 3
    quick: bool = False

    def turns(self) -> list[tuple[int, Contestant, list[Workload]]]:
        """(round, who, what), in order. What does not repeat is done in the last round."""
        turns = []
        for number in range(1, self.rounds + 1):
            for who in self.contestants:
                is_last = number == self.rounds
                what = [
                    each
                    for each in self.workloads
                    if (each.repeats or (is_last and not who.brief)) and (each.peers or who.name == "ours")
                ]
                if what:
                    turns.append((number, who, what))
        return turns


async def compare(plan: Plan, folder: Path, phase: Phase) -> Json:
    """Runs the plan over data in `folder`. What goes wrong in a workload is written down in its place."""
    results: list[Json] = []
    document: Json = {
        "machine": machine.describe(folder),
        "quick": plan.quick,
        "rounds": plan.rounds,
        "results": results,
    }
    async with Postgres.running(folder) as postgres:
        turns = plan.turns()
        for index, (number, who, what) in enumerate(turns):
            label = f"[{index + 1}/{len(turns)}] {who.title}"
            results += await _turn(who, number, what, plan.quick, postgres, folder, _labelled(phase, label))
    document["load_average_after"] = [round(load, 2) for load in os.getloadavg()]
    document["summary"] = summarize(results)
    return document


async def _turn(
    who: Contestant, number: int, what: list[Workload], quick: bool, postgres: Postgres, folder: Path, phase: Phase
) -> list[Json]:
    """What goes wrong is a result as well: an hour of other turns is not lost for it."""
    results: list[Json] = []

    def note(workload: str, result: Json) -> None:
        results.append({"who": who.name, "round": number, "workload": workload, **result})

    phase("starting", 0, 1)
    try:
        async with running(who, postgres, folder, **_ENV) as shop:
            if who.dialect == "shop":
                await _stock(shop.stack.database_url)
            async with Watch(shop.target) as watch:
                turn = Turn(shop, watch, quick, phase)
                await warm_up(shop.target, Load(CLIENTS, turn.size(120, 30), turn.size(120, 30)), watch, phase)
                for workload in what:
                    start = time.perf_counter()
                    try:
                        turn.found[workload.name] = await workload.do(turn)
                    except Exception as error:
                        turn.found[workload.name] = _failure(error)
                    note(workload.name, {"took": time.perf_counter() - start, **turn.found[workload.name]})
            if who.dialect == "shop":
                phase("auditing", 0, 1)
                dispatches = "worker" in who.parts and not who.instead
                note("audit", {"violations": await _violations(shop.stack.database_url, dispatches)})
    except Exception as error:
        note("turn", _failure(error))
    return results


def _failure(error: Exception) -> Json:
    return {"failed": f"{type(error).__name__}: {error}"}


def _labelled(phase: Phase, label: str) -> Phase:
    return lambda name, done, total: phase(f"{label}: {name}", done, total)


async def _stock(database_url: str) -> None:
    """Enough of everything but the ten prints."""
    connection = await asyncpg.connect(database_url)
    try:
        for sku in SPREAD:
            await connection.execute("SELECT shop.restock($1, $2)", sku, _STOCK)
    finally:
        await connection.close()


async def _violations(database_url: str, dispatches: bool) -> dict[str, int]:
    """How many by the check's name. The same auditor for all: what is sold fast and wrong is no checkout.

    Peers have no warehouse, so that their parcels stay is none.
    """
    engine = create_engine(database_url, command_timeout=120)
    try:
        async with engine.connect() as connection:
            findings = await audit_ledgers(connection, timedelta(seconds=5))
    finally:
        await engine.dispose()
    counted = {
        finding.name: sum(dispatches or "due for dispatch" not in told for told in finding.violations)
        for finding in findings
    }
    return {name: count for name, count in counted.items() if count}


def summarize(results: Sequence[Json]) -> Json:
    """By contestant the medians over the rounds, and how they stand to ours."""
    summary: dict[str, Any] = {}
    for who in dict.fromkeys(result["who"] for result in results):

        def median(workload: str, *path: str, who: str = who) -> float | None:
            values = [_at(each, path) for each in results if (each["who"], each["workload"]) == (who, workload)]
            numbers = [value for value in values if value is not None]
            return statistics.median(numbers) if numbers else None

        summary[who] = {
            "throughput": median("peak", "throughput"),
            "throughput_range": _range(results, who),
            "cpu_seconds": median("peak", "cpu_total"),
            "answer_p50_one_client": median("one", "buy_to_answer", "p50"),
            "fulfilled_p50_one_client": median("one", "buy_to_fulfilled", "p50"),
            "answer_p50_half_peak": median("half", "buy_to_answer", "p50"),
            "answer_p99_half_peak": median("half", "buy_to_answer", "p99"),
            "hot_to_spread": median("hot", "ratio"),
            "others_cpu_share": median("peak", "others_cpu_share"),
        }
    ours = summary.get("ours", {}).get("throughput")
    for numbers in summary.values():
        if ours and numbers["throughput"]:
            numbers["ours_to_this"] = ours / numbers["throughput"]
    return summary


def _at(result: Json, path: Sequence[str]) -> float | None:
    if path == ("cpu_total",):
        spent = result.get("cpu_seconds_per_checkout")
        return sum(seconds for part, seconds in spent.items() if part != "client") if spent else None
    value: Any = result
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return None if value is None else float(value)


def _range(results: Sequence[Json], who: str) -> list[float]:
    values = [
        each["throughput"]
        for each in results
        if (each["who"], each["workload"]) == (who, "peak") and "throughput" in each
    ]
    return [min(values), max(values)] if values else []
