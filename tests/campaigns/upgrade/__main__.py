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
    versions = parser.add_mutually_exclusive_group()
    versions.add_argument(
        "--without-versions", dest="without", action="store_true", default=None,
        help="only without build ids: the new worker replays what the old one began",
    )  # fmt: skip
    versions.add_argument("--with-versions", dest="without", action="store_false", help="only with build ids")
    return parser.parse_args()


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


def main() -> int:
    arguments = _arguments()
    modes = [versions for versions in (True, False) if versions != arguments.without or arguments.without is None]
    with data_dir() as folder:
        old = folder / "old"
        old.mkdir(mode=0o755)
        try:
            reference = arguments.reference or last_release()
            say(f"the old release is {reference} ({unpack(reference, old)})")
            for versions in modes:
                say(f"-- workers {'with' if versions else 'without'} versions")
                asyncio.run(rehearse(folder / f"stack-{versions}", old, say, versions=versions))
        except NoRelease as error:
            print(f"{error} make upgrade ARGS='--from COMMIT'", file=sys.stderr)
            return 2
        except Violated as error:
            print(f"FAIL: {error}", file=sys.stderr)
            _keep_logs(folder)
            return 1
    return 0


def _keep_logs(folder: Path) -> None:
    for log in folder.glob("stack-*/logs/*worker*.log"):
        print(f"---- {log.name}", *log.read_text(errors="replace").splitlines()[-15:], sep="\n", file=sys.stderr)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Temporal's runtime may abort while the interpreter is torn down (sdk-python issue 300): leave before that.
    os._exit(code)
