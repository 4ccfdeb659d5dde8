"""`make cluster`: the shop on a real Temporal cluster. It is started, used, restarted part by part, hurt and measured.

Temporal's programs are yours to bring: temporal-server and temporal-sql-tool on the PATH or in TEMPORAL_SERVER_BIN and
TEMPORAL_SQL_TOOL_BIN, and a PostgreSQL with contrib modules for its histories.
"""

import argparse
import asyncio
import os
import random
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.customer import Target
from bench.load import Load, measure
from bench.machine import describe, of_the_parts
from stack.errors import StackError
from tests.campaigns.chaos.campaign import Campaign, in_words
from tests.campaigns.chaos.test_slice import chosen
from tests.campaigns.chaos.world import HASTY_TIMEOUT, World
from tests.campaigns.cluster.binaries import Binaries, Missing, find
from tests.campaigns.cluster.first_order import first_order
from tests.campaigns.cluster.probes import probe
from tests.campaigns.cluster.report import write
from tests.campaigns.cluster.rolling import roll
from tests.campaigns.cluster.world import ClusterWorld
from tests.support.stacks import data_dir

MEASURED = ("first", "probes", "rolling", "bench")
HURT = ("slice", "storm")
_MEASURING = {"CHECKOUT_PAYMENT_TIMEOUT": "900", "CHECKOUT_SESSION_WAIT": "10"}
Json = dict[str, Any]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make cluster ARGS=…", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    phases = ", ".join((*MEASURED, *HURT))
    parser.add_argument("--only", action="append", default=[], metavar="PHASE", help=f"some of: {phases}")
    parser.add_argument("--rate", type=float, default=3.0, help="customers a second while parts restart (default: 3)")
    parser.add_argument("--restart", default="", metavar="KIND", help="only kinds whose name contains this")
    parser.add_argument("--clients", type=int, default=30, help="customers at a time in the benchmark (default: 30)")
    parser.add_argument("--checkouts", type=int, default=300, help="how many it measures (default: 300)")
    parser.add_argument("--minutes", type=float, default=3.0, help="how long the storm lasts (default: 3)")
    parser.add_argument("--seed", type=int, help="of slice and storm (default: another each time)")
    parser.add_argument("--out", type=Path, default=Path("var/cluster"), help="where report.md and report.json go")
    parser.add_argument("--figures", action="store_true", help="what is measured, and nothing is hurt: some minutes")
    arguments = parser.parse_args()
    unknown = [one for one in arguments.only if one not in (*MEASURED, *HURT)]
    if unknown:
        parser.error(f"there is no phase {', '.join(unknown)}: choose from {phases}")
    arguments.phases = arguments.only or (MEASURED if arguments.figures else (*MEASURED, *HURT))
    return arguments


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


async def bench(world: ClusterWorld, arguments: argparse.Namespace) -> Json:
    target = Target(
        gateway_url=world.shop,
        payment_url=world.payment,
        admin_token=world.stack.admin_token,
        database_url=world.stack.database_url,
        pids=world.pids(),
    )
    load = Load(arguments.clients, arguments.checkouts, warmup=max(30, arguments.clients))
    result, _ = await measure(target, load)
    one, _ = await measure(target, Load(1, 40, warmup=5))
    for each in (result, one):
        spent = of_the_parts(each["cpu_seconds_per_checkout"])
        answered, others = each["buy_to_answer"], each["others_cpu_share"]
        say(
            f"{'ok  ' if each['ok'] else 'FAIL'} {each['load']['clients']} customers: {each['throughput']:.1f} /s, "
            f"{spent * 1000:.0f} ms CPU each; answer p50 {answered['p50']:.2f} p99 {answered['p99']:.2f} s; "
            + (f"others took {others:.0%} of the machine" if others is not None else "")
        )
    return {"ok": result["ok"] and one["ok"], "peak": result, "one": one}


async def measured(binaries: Binaries, arguments: argparse.Namespace, report: Json) -> None:
    """The phases in which no fault but the wanted ones may happen, on one cluster without proxies."""
    phases: dict[str, Callable[[ClusterWorld], Awaitable[Any]]] = {
        "first": lambda world: first_order(world, say),
        "probes": lambda world: probe(world, say),
        "rolling": lambda world: roll(world, arguments.rate, say, only=arguments.restart),
        "bench": lambda world: bench(world, arguments),
    }
    wanted = [name for name in MEASURED if name in arguments.phases]
    with data_dir() as folder:
        begun = time.monotonic()
        async with ClusterWorld(folder / "stack", binaries, faults=False, **_MEASURING) as world:
            report["up_after"] = time.monotonic() - begun
            say(f"the cluster is up after {report['up_after']:.0f} s: {', '.join(world.roles)}")
            for name in wanted:
                say(f"-- {name} (load {os.getloadavg()[0]:.1f})")
                try:
                    report[name] = await phases[name](world)
                    await world.quiet(within=60)
                except Exception as error:
                    report["problems"].append(f"{name}: {in_words(error)}")
                    say(f"FAIL {name}: {in_words(error)}")
                    logs = arguments.out / "failed" / name
                    shutil.copytree(folder / "stack" / "logs", logs, dirs_exist_ok=True)


@asynccontextmanager
async def _cluster_to_hurt(binaries: Binaries, folder: Path) -> AsyncIterator[tuple[World, str]]:
    async with (
        ClusterWorld(folder, binaries) as world,
        world.another("gateway", "hasty-gateway", CHECKOUT_PAYMENT_TIMEOUT=str(HASTY_TIMEOUT)) as hasty,
    ):
        yield world, hasty


async def hurt(binaries: Binaries, arguments: argparse.Namespace, report: Json) -> None:
    """The campaign's slice and its storm, with Temporal's processes among the victims."""
    campaign = Campaign(report["seed"], arguments.out.absolute() / "chaos", say, partial(_cluster_to_hurt, binaries))
    try:
        if "slice" in arguments.phases:
            say("-- the slice of the fault campaign")
            await campaign.run_scenarios(chosen())
            await campaign.run_race()
        if "storm" in arguments.phases and arguments.minutes > 0:
            say(f"-- a storm of {arguments.minutes:g} minutes")
            await campaign.run_storm(arguments.minutes)
    finally:
        await campaign.finish()
    found = campaign.report
    report["chaos"] = {
        "scenarios": len(found.results),
        "survived": sum(result.ok for result in found.results),
        "storms": [vars(storm) for storm in found.storms],
        "faults": dict(found.faults),
    }
    report["problems"] += [f"{result.name}: {result.problem}" for result in found.failed] + found.problems


async def run(arguments: argparse.Namespace, binaries: Binaries) -> bool:
    seed = arguments.seed if arguments.seed is not None else random.randrange(10**6)
    arguments.out.mkdir(parents=True, exist_ok=True)
    report: Json = {"seed": seed, "machine": describe(arguments.out), "problems": [], "phases": list(arguments.phases)}
    say(f"seed {seed}; the report will be in {arguments.out}")
    begun = time.monotonic()
    try:
        if any(name in arguments.phases for name in MEASURED):
            await measured(binaries, arguments, report)
        if any(name in arguments.phases for name in HURT):
            await hurt(binaries, arguments, report)
    except BaseException as error:
        report["problems"].append(f"ended early: {in_words(error)}")
        raise
    finally:
        report["seconds"] = time.monotonic() - begun
        report["problems"] += [f"rolling: {one['kind']}" for one in report.get("rolling", []) if not one["ok"]]
        report["ok"] = not report["problems"] and report.get("bench", {}).get("ok", True)
        print(write(report, arguments.out))
    return bool(report["ok"])


def main() -> int:
    arguments = _arguments()
    try:
        return 0 if asyncio.run(run(arguments, find())) else 1
    except (Missing, StackError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Temporal's runtime may abort while the interpreter is torn down (sdk-python issue 300): leave before that.
    os._exit(code)
