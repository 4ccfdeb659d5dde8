"""Plant each bug in a private copy of the tree and run its selection there."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from stack.config import StackConfig
from stack.stack import Stack
from tests.campaigns.mutants.inside import SERVER
from tests.campaigns.mutants.mutant import Mutant
from tests.campaigns.mutants.nest import TIMED_OUT

ROOT = Path(__file__).parents[3]
LIMIT = 120.0  # seconds for one selection
_PER_TEST = 45  # seconds, by pytest-timeout
_ARGUMENTS = (
    "-q",
    "--no-header",
    "-p",
    "no:cacheprovider",
    "-p",
    "tests.campaigns.mutants.inside",
    f"--timeout={_PER_TEST}",
)
# The settings of whoever runs this are none of the tests' business.
_NOT_OURS = ("CHECKOUT_", "STRIPE_", "TEMPORAL_", "PAYMENT_", "DATABASE_URL", "PYTEST_", "PYTHONPATH")


@dataclass(frozen=True)
class Verdict:
    """`outcome`: caught, missed, or error (the mutant cannot be judged). `by` is the test, `why` its first words."""

    outcome: str
    by: str
    why: str
    seconds: float


class Copy:
    """`async with`: a copy of the working tree with a process in it that runs pytest on what it finds there."""

    def __init__(self, folder: Path, *, head: bool = False) -> None:
        self.folder, self._head = folder, head
        self._process: asyncio.subprocess.Process | None = None
        # One server for all runs in this copy: starting it takes longer than most of them.
        self._postgres = Stack(
            StackConfig.for_tests(folder.with_name(f"{folder.name}-postgres"), parts=("postgres",), cwd=None)
        )

    async def __aenter__(self) -> Self:
        copy_tree(self.folder, head=self._head)
        await self._postgres.start()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.campaigns.mutants.nest",
            cwd=self.folder,
            env=environment | {"PYTHONPATH": str(self.folder), SERVER: self._postgres.database_url},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert (await self._answer())["ready"]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 20)
        except TimeoutError:
            self._process.kill()
        finally:
            await self._postgres.stop()

    async def baseline(self, selections: Sequence[str]) -> Verdict:
        """All selections without any bug: green, or nothing that follows means anything."""
        verdict, report = await self._run(selections, limit=LIMIT * 8, stop_at_first=False)
        return verdict if report else Verdict("error", "", "the baseline did not end", verdict.seconds)

    async def judge(self, mutant: Mutant) -> Verdict:
        """Plant, run, restore."""
        changed = mutant.mutated(self.folder)
        originals = {name: (self.folder / name).read_text() for name in changed}
        try:
            self._write(changed)
            verdict, _ = await self._run(mutant.selections(self.folder), limit=LIMIT, stop_at_first=True)
            return verdict
        finally:
            self._write(originals)

    def _write(self, sources: dict[str, str]) -> None:
        for name, source in sources.items():
            path = self.folder / name
            path.write_text(source)
            # Python knows a stale .pyc by size and whole seconds: a swift mutation could pass unseen.
            for cached in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
                cached.unlink()

    async def _run(
        self, selection: Sequence[str], *, limit: float, stop_at_first: bool
    ) -> tuple[Verdict, dict[str, Any]]:
        report = self.folder / ".mutant-report.json"
        report.unlink(missing_ok=True)
        order = {
            "arguments": [*_ARGUMENTS, *(["-x"] if stop_at_first else []), *selection],
            "log": str(self.folder / ".mutant.log"),
            "report": str(report),
            "limit": limit,
        }
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        answer = await self._answer()
        told = json.loads(report.read_text()) if report.exists() else {}
        return _verdict(answer, told, self.log()), told

    async def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the nest has died"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def log(self) -> str:
        path = self.folder / ".mutant.log"
        return path.read_text(errors="replace") if path.exists() else ""


def _verdict(answer: dict[str, Any], told: dict[str, Any], log: str) -> Verdict:
    seconds = float(answer["seconds"])
    if told.get("failures"):
        first = told["failures"][0]
        return Verdict("caught", first["test"], first["why"], seconds)
    if answer["code"] == TIMED_OUT:
        return Verdict("caught", "", f"the selection did not end within {LIMIT:.0f} s", seconds)
    if answer["code"] == 0 and told.get("passed"):
        return Verdict("missed", "", "", seconds)
    words = [line for line in log.splitlines() if line.strip()]
    return Verdict("error", "", words[-1] if words else f"pytest ended with {answer['code']}", seconds)


def copy_tree(folder: Path, *, head: bool = False) -> None:
    """Copy what git tracks or would track, or else the last commit. Not the history, no data, no caches."""
    folder.mkdir(parents=True)
    if head:
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x"], cwd=folder, check=True, input=archive)
        return
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.decode().split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
