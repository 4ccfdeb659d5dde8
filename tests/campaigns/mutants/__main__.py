"""`make mutants`: plant every bug of the table, one at a time, and print which test caught it."""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from tests.campaigns.mutants.campaign import ROOT, Copy, Verdict
from tests.campaigns.mutants.mutant import Mutant
from tests.campaigns.mutants.table import MUTANTS

_COLOURS = {"caught": "32", "missed": "1;31", "error": "33"}


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.mutants", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="part of a name; may be repeated")
    parser.add_argument("--jobs", type=int, default=1, help="copies to work in at a time (1)")
    parser.add_argument("--list", action="store_true", help="print the table and plant nothing")
    parser.add_argument("--show", action="store_true", help="print what each changes and plant nothing")
    parser.add_argument("--head", action="store_true", help="copy the last commit, not the working tree")
    parser.add_argument(
        "--skip-baseline", action="store_true", help="believe that the selections are green without bugs"
    )
    return parser.parse_args(arguments)


def _show(outcome: str, text: str) -> None:
    colour = _COLOURS[outcome] if sys.stdout.isatty() else ""
    print(f"\033[{colour}m{outcome:6}\033[0m {text}" if colour else f"{outcome:6} {text}", flush=True)


def _line(mutant: Mutant, verdict: Verdict) -> str:
    by = verdict.by.rpartition("::")[2] or verdict.by
    if verdict.outcome == "missed":
        by = f"SURVIVED: {mutant.breaks}"
    why = f"\n{'':46}{verdict.why[:150]}" if verdict.why else ""
    return f"{mutant.name:36} {verdict.seconds:5.1f} s  {by}{why}"


async def _baseline(copy: Copy, mutants: list[Mutant]) -> bool:
    selections = sorted({selection for mutant in mutants for selection in mutant.selections(copy.folder)})
    print(f"Without any bug: {len(selections)} selections…", flush=True)
    verdict = await copy.baseline(selections)
    if verdict.outcome == "missed":
        print(f"green in {verdict.seconds:.0f} s; now {len(mutants)} bugs, one at a time\n", flush=True)
        return True
    print(f"not green without any bug: {verdict.by} {verdict.why}\n{copy.log()[-4000:]}", file=sys.stderr)
    return False


async def _campaign(mutants: list[Mutant], options: argparse.Namespace) -> int:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="checkout-mutants-")))
        copies = [
            await stack.enter_async_context(Copy(base / f"copy-{number}", head=options.head))
            for number in range(min(options.jobs, len(mutants)))
        ]
        if not options.skip_baseline and not await _baseline(copies[0], mutants):
            return 2
        waiting = iter(mutants)
        verdicts: dict[str, Verdict] = {}

        async def work(copy: Copy) -> None:
            for mutant in waiting:
                verdicts[mutant.name] = verdict = await copy.judge(mutant)
                _show(verdict.outcome, _line(mutant, verdict))

        await asyncio.gather(*(work(copy) for copy in copies))
    counts = {name: [verdict.outcome for verdict in verdicts.values()].count(name) for name in _COLOURS}
    share = 100 * counts["caught"] / len(mutants)
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"\n{len(mutants)} planted bugs: {told} ({share:.0f} %) in {time.monotonic() - began:.0f} s")
    return 0 if counts["caught"] == len(mutants) else 1


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    mutants = [one for one in MUTANTS if not options.only or any(part in one.name for part in options.only)]
    if not mutants:
        print("no mutant of that name", file=sys.stderr)
        return 2
    if options.list:
        for mutant in mutants:
            print(f"{mutant.name:36} {mutant.edits[0].where}\n{'':37}without it, {mutant.breaks}")
            print("\n".join(f"{'':37}{selection}" for selection in mutant.selections(ROOT)))
        return 0
    if options.show:
        for mutant in mutants:
            print(f"{mutant.name}: without it, {mutant.breaks}\n{mutant.shown(ROOT)}")
        return 0
    return asyncio.run(_campaign(mutants, options))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
