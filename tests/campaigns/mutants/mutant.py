"""A planted bug, as data: where, what, why it would hurt, and which tests shall catch it."""

import ast
import difflib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.campaigns.mutants.anchors import Anchor, Sources, Stale


@dataclass(frozen=True)
class Mutant:
    """`breaks` completes "without it, …". `tests`: the smallest selection that must notice."""

    name: str
    edits: tuple[Anchor, ...]
    breaks: str
    tests: tuple[str, ...]

    def mutated(self, root: Path) -> dict[str, str]:
        """The changed files, by path from the root. Raises `Stale`."""
        sources = Sources(root)
        for edit in self.edits:
            edit.apply(sources)
        return sources.changed

    def shown(self, root: Path) -> str:
        """What it changes, as a diff of the normal form. Raises `Stale`."""
        told: list[str] = []
        for file, source in self.mutated(root).items():
            before, after = (root / file).read_text(), source
            if file.endswith(".py"):
                before, after = (ast.unparse(ast.parse(text)) for text in (before, after))
            told += difflib.unified_diff(before.splitlines(), after.splitlines(), file, file, lineterm="")
        return "\n".join(told)

    def selections(self, root: Path) -> tuple[str, ...]:
        """`tests` as pytest's arguments. Raises `Stale`."""
        return tuple(_selection(root, test) for test in self.tests)


def bug(name: str, *edits: Anchor, breaks: str, tests: str | tuple[str, ...]) -> Mutant:
    """A test is named by its function, and by its file as well (`file::function`) where two have one name."""
    return Mutant(name, edits, breaks, (tests,) if isinstance(tests, str) else tests)


def _selection(root: Path, test: str) -> str:
    file, _, name = test.rpartition("::")
    known = _tests(root).get(name, ())
    if not known:
        raise Stale(f"the test {test} does not exist (any more)")
    files = [one for one in known if file in ("", one)]
    if len(files) != 1:
        raise Stale(f"the test {test} is in {', '.join(known)}: name the one file that is meant")
    return f"{files[0]}::{name}"


@cache
def _tests(root: Path) -> dict[str, tuple[str, ...]]:
    """The files that define a test, by its name."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        for name in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE):
            found[name] = (*found.get(name, ()), str(path.relative_to(root)))
    return found
