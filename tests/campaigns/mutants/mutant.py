"""A planted bug, as data: where, what, why it would hurt, and which tests shall catch it."""

from dataclasses import dataclass
from pathlib import Path


class Stale(Exception):
    """The text that a mutant replaces is not there exactly once (any more): the table must follow the code."""


@dataclass(frozen=True)
class Edit:
    """`old` occurs exactly once in `file` (a path from the root) and becomes `new`."""

    file: str
    old: str
    new: str

    def apply(self, source: str) -> str:
        """Raises `Stale`."""
        count = source.count(self.old)
        if count != 1:
            raise Stale(f"{self.file}: {count} times instead of once: {self.old!r}")
        if self.new == self.old:
            raise Stale(f"{self.file}: the mutation changes nothing: {self.old!r}")
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Mutant:
    """`breaks` completes "without it, …". `tests` are pytest's arguments: the smallest selection that must notice."""

    name: str
    edits: tuple[Edit, ...]
    breaks: str
    tests: tuple[str, ...]

    def mutated(self, root: Path) -> dict[str, str]:
        """The changed files, by path from the root. Raises `Stale`."""
        sources: dict[str, str] = {}
        for edit in self.edits:
            source = sources.get(edit.file) or (root / edit.file).read_text()
            sources[edit.file] = edit.apply(source)
        return sources


def mutant(name: str, file: str, old: str, new: str, *, breaks: str, tests: str | tuple[str, ...]) -> Mutant:
    """The usual case: one edit in one place."""
    return Mutant(name, (Edit(file, old, new),), breaks, (tests,) if isinstance(tests, str) else tests)
