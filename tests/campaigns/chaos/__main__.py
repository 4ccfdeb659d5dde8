"""`python -m tests.campaigns.chaos`: the whole campaign. `--list` shows what there is, `--only TEXT` runs some."""

import argparse
import asyncio
import os
import random
import sys
from pathlib import Path

from tests.campaigns.chaos.campaign import Campaign, scenarios

PHASES = ("scenarios", "race", "recovery", "storm", "schedules")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="what happens when, and in which order (default: another each time)")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long the storm lasts (default: 5)")
    parser.add_argument("--pairs", type=int, default=40, help="how many pairs of failpoints, drawn by the seed")
    parser.add_argument("--samples", type=int, default=10, help="kills of each kind, for the recovery times")
    parser.add_argument("--schedules", type=int, default=10_000, help="random schedules, as `make schedules` runs them")
    parser.add_argument("--only", action="append", default=[], help="scenarios or phases whose name contains this")
    parser.add_argument("--list", action="store_true", help="show the scenarios and stop")
    parser.add_argument("--out", type=Path, default=Path("var/chaos"), help="where the report goes")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace, seed: int) -> bool:
    every = scenarios(seed, arguments.pairs)
    chosen = [one for one in every if not arguments.only or any(text in one.name for text in arguments.only)]
    phases = [one for one in PHASES if not arguments.only or one in arguments.only]
    print(f"seed {seed}; the report will be in {arguments.out}", flush=True)
    campaign = Campaign(seed, arguments.out.absolute(), lambda line: print(line, flush=True))
    try:
        await campaign.run_scenarios(every if "scenarios" in arguments.only else chosen)
        if "race" in phases:
            await campaign.run_race()
        if "recovery" in phases:
            await campaign.run_recovery(arguments.samples)
        if "storm" in phases and arguments.minutes > 0:
            await campaign.run_storm(arguments.minutes)
        if "schedules" in phases and arguments.schedules > 0:
            await campaign.run_schedules(arguments.schedules)
    finally:
        await campaign.finish()
    print((arguments.out / "report.md").read_text())
    for failed in campaign.report.failed:
        print(f'again: python -m tests.campaigns.chaos --seed {seed} --only "{failed.name}"')
    return campaign.report.ok


def main() -> int:
    arguments = _arguments()
    if arguments.list:
        listed = scenarios(arguments.seed or 0, arguments.pairs)
        print("\n".join(f"{one.group:22} {one.name}" for one in listed))
        return 0
    seed = arguments.seed if arguments.seed is not None else random.randrange(10**6)
    return 0 if asyncio.run(_run(arguments, seed)) else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Temporal's runtime may abort while the interpreter is torn down (sdk-python issue 300): leave before that.
    os._exit(code)
