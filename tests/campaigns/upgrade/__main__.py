"""`make upgrade`: rehearse the upgrade from the last release (or a commit) to this code, with processes of both."""

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

from tests.campaigns.chaos.verdicts import Violated
from tests.campaigns.upgrade.rehearsal import rehearse
from tests.campaigns.upgrade.release import NoRelease, last_release, unpack
from tests.support.stacks import data_dir


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make upgrade ARGS=…", description=__doc__)
    parser.add_argument("--from", dest="reference", metavar="COMMIT", help="the old code (default: the last tag v…)")
    parser.add_argument(
        "--without-versions", action="store_true",
        help="workers without build ids: the new one replays what the old one began. For a release that changes no "
        "workflow in a way that its histories show",
    )  # fmt: skip
    return parser.parse_args()


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


def main() -> int:
    arguments = _arguments()
    versions = not arguments.without_versions
    with data_dir() as folder:
        old = folder / "old"
        old.mkdir(mode=0o755)
        try:
            reference = arguments.reference or last_release()
            say(f"the old release is {reference} ({unpack(reference, old)})")
            say(f"-- workers {'with' if versions else 'without'} versions")
            asyncio.run(rehearse(folder / "stack", old, say, versions=versions))
        except NoRelease as error:
            print(f"{error} make upgrade ARGS='--from COMMIT'", file=sys.stderr)
            return 2
        except Violated as error:
            print(f"FAIL: {error}", file=sys.stderr)
            _keep_logs(folder)
            return 1
    return 0


def _keep_logs(folder: Path) -> None:
    for log in folder.glob("stack/logs/*worker*.log"):
        print(f"---- {log.name}", *log.read_text(errors="replace").splitlines()[-15:], sep="\n", file=sys.stderr)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Temporal's runtime may abort while the interpreter is torn down (sdk-python issue 300): leave before that.
    os._exit(code)
