"""`python -m tests.campaigns.containers`: build the image, start docker-compose.yml, and break it. About ten minutes.

Images that cannot be pulled are stood in for by ones made here, under the same names (root and debootstrap needed):
Debian's Python and PostgreSQL; Temporal's from ready programs on PATH or named by TEMPORAL_SERVER_BIN,
TEMPORAL_SQL_TOOL_BIN and TEMPORAL_UI_SERVER_BIN, as `make cluster` takes them. Without those its development server
stands in, and the report says so. DEBIAN_MIRROR names another archive of Debian than apt's.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.campaigns.containers.deployment import Deployment
from tests.campaigns.containers.engine import CommandFailed, Engine, NoEngine, find
from tests.campaigns.containers.images import DEVELOPMENT_SERVER, CannotStandIn, Images, build_ours, forget, others
from tests.campaigns.containers.report import Report
from tests.campaigns.containers.trials import TRIALS

ROOT = Path(__file__).resolve().parents[3]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.containers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--engine", choices=("docker", "podman"), help="default: docker, if it works")
    images = parser.add_mutually_exclusive_group()
    images.add_argument("--no-pull", action="store_true", help="pull nothing: what is not here is stood in for")
    images.add_argument("--real-images", action="store_true", help="fail where an image cannot be pulled")
    parser.add_argument("--only", action="append", default=[], help="trials whose name contains this")
    parser.add_argument("--list", action="store_true", help="show the trials and stop")
    parser.add_argument("--keep", action="store_true", help="leave it running at the end, with its data")
    parser.add_argument("--out", type=Path, default=Path("var/containers"), help="where report, store and secrets go")
    return parser.parse_args()


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _images(engine: Engine, work: Path, report: Report, arguments: argparse.Namespace) -> tuple[Path, ...]:
    """Every image the file and the Dockerfile name, in the engine's store. Returns the override files needed."""
    images = Images(engine, work, _say, pull=not arguments.no_pull, stand_in=not arguments.real_images)
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    base = next(line.split()[1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("FROM"))
    for name in sorted({base, *others(services)}):
        report.images.append(images.obtain(name))  # each at once: what stands in is forgotten whatever fails next
    absent = sorted({name for image in report.images for name in image.without})
    if not absent:
        return ()
    report.notes.append(
        f"Not found: {', '.join(absent)} (on PATH, or named by their settings). Temporal's development server, "
        "one process with SQLite, stood in for its server on PostgreSQL: neither its schema job nor its web UI ran."
    )
    _say(report.notes[-1])
    return (DEVELOPMENT_SERVER,)


def _run(arguments: argparse.Namespace) -> bool:
    work = arguments.out.absolute()
    work.mkdir(parents=True, exist_ok=True)
    engine = find(work / "podman", arguments.engine)
    report = Report(engine.name, engine.run("--version").strip())
    _say(f"{report.version}; the report will be in {arguments.out}")
    try:
        overrides = _images(engine, work, report, arguments)
        deployment = Deployment(engine, ROOT, work, overrides)
        _say("building the image")
        build_ours(engine, deployment.file["services"]["worker"]["image"], ROOT, os.environ)
        chosen = [one for one in TRIALS if not arguments.only or any(text in one.__name__ for text in arguments.only)]
        deployment.down(with_data=True)
    except BaseException:
        if not arguments.keep:
            forget(engine, report.stand_ins)
        raise
    try:
        with deployment.health_checked():
            began = time.monotonic()
            _say("starting docker-compose.yml")
            deployment.up()
            report.passed("start", f"everything was up and healthy in {time.monotonic() - began:.0f} s", 0)
            _say(report.rows[-1].seen)
            for trial in chosen:
                _try(trial, deployment, report)
    finally:
        report.write(work)
        if not report.ok:
            for name in deployment.services:
                (work / f"{name}.log").write_text(deployment.logs(name, 500))
        if not arguments.keep:
            deployment.down(with_data=True)
            forget(engine, report.stand_ins)
    print((work / "report.md").read_text())
    return report.ok


def _try(trial: Callable[[Deployment], str], deployment: Deployment, report: Report) -> None:
    title = trial.__name__.replace("_", " ")
    _say(f"{title} …")
    began = time.monotonic()
    try:
        report.passed(title, trial(deployment), time.monotonic() - began)
    except Exception as error:  # whatever it is, the others go on
        report.failed(title, str(error) or repr(error), time.monotonic() - began)
    _say(f"  {'ok' if report.rows[-1].ok else 'FAILED'}: {report.rows[-1].seen}")


def main() -> int:
    arguments = _arguments()
    if arguments.list:
        print("\n".join(trial.__name__ for trial in TRIALS))
        return 0
    try:
        return 0 if _run(arguments) else 1
    except (NoEngine, CannotStandIn, CommandFailed) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
