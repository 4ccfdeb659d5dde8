"""Act out many random schedules: `python -m tests.campaigns.schedules --schedules 10000 --seed 1 --jobs 2`."""

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.campaigns.schedules.campaign import ENOUGH, Failed, Stage, counts_of, missing, progress, run
from tests.campaigns.schedules.steps import from_blob, told


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.schedules", description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes, each with servers of its own (2)")
    parser.add_argument("--replay", metavar="BLOB", help="act one schedule out again")
    parser.add_argument("--times", type=int, default=1, help="how often to replay it (1)")
    parser.add_argument("--counts-to", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _replay(blob: str, times: int) -> int:
    schedule = from_blob(blob)
    print(told(schedule))
    with Stage() as stage:
        for number in range(1, times + 1):
            try:
                stage.act_out(schedule)
            except Exception as error:
                print(f"{number}: {type(error).__name__}: {error}")
                return 1
    print(f"passed {times} time(s): {dict(stage.world.provider.faults)}")
    return 0


def _one_process(options: argparse.Namespace) -> int:
    with Stage() as stage:
        try:
            run(stage, options.schedules, options.seed, progress(options.schedules))
        except Failed as failure:
            print(failure, file=sys.stderr)
            return 1
        finally:
            if options.counts_to:
                options.counts_to.write_text(json.dumps(counts_of(stage.world)))
    return 0


def _share(options: argparse.Namespace, number: int, schedules: int) -> list[str]:
    """The arguments of one of several processes: seeds of its own, and its counts into a file (named next)."""
    return ["--schedules", str(schedules), "--seed", str(options.seed * 1000 + number), "--counts-to"]


def _many_processes(options: argparse.Namespace) -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        reports = [Path(folder) / str(number) for number in range(options.jobs)]
        shares = [
            options.schedules // options.jobs + (n < options.schedules % options.jobs) for n in range(options.jobs)
        ]
        children = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.campaigns.schedules", *_share(options, number, share), str(report)]
            )
            for number, (share, report) in enumerate(zip(shares, reports, strict=True))
        ]
        try:
            codes = [child.wait() for child in children]
        finally:
            for child in children:
                child.terminate()  # they stop their servers
            for child in children:
                child.wait()
        counts = sum((Counter(json.loads(report.read_text())) for report in reports if report.exists()), Counter[str]())
    for name, count in sorted(counts.items()):
        print(f"{count:8}  {name}")
    seconds = time.monotonic() - began
    verdict = "all kept their promises" if not any(codes) else "FAILED"
    print(f"\n{options.schedules} schedules, seed {options.seed}: {verdict}; {seconds:.0f} s,"
          f" {60 * options.schedules / seconds:.0f} a minute")  # fmt: skip
    if any(codes):
        return 1
    if options.schedules >= ENOUGH and (absent := missing(counts)):
        print(f"void: never occurred: {', '.join(absent)}", file=sys.stderr)
        return 1
    return 0


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.disable(logging.ERROR)  # thousands of checkouts fail here on purpose, and say so
    if options.replay:
        return _replay(options.replay, options.times)
    return _one_process(options) if options.counts_to else _many_processes(options)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the SDK's runtime may abort while the interpreter is torn down
