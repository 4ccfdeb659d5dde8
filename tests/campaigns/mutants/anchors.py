"""Where a bug is planted: a definition, found by its name wherever it lives, and what is replaced in it.

A name is the end of a dotted path: `fulfil_order`, `orders.fulfil_order`, `db.orders.fulfil_order`,
`CheckoutActivities.release_order`, `limits.MAX_BODY_BYTES`. It names a function, a method, a class, a constant of a
module or class, or a whole module, and has to be long enough to name one. Code may be moved and reformatted below it.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from tests.campaigns.mutants.syntax import Misfit, replacements

PRODUCT = ("checkout", "runtime", "db", "worker", "api", "payment_mock", "stack", "cli", "bench")
_MIGRATIONS = "*/migrations/versions/*"


class Stale(Exception):
    """What an edit replaces is not there exactly once (any more): the table must follow the code."""


class Sources:
    """The files below `root`, with the edits made so far in `changed`; nothing is written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.changed: dict[str, str] = {}

    def read(self, file: str) -> str:
        return self.changed[file] if file in self.changed else (self.root / file).read_text()

    def matching(self, pattern: str) -> list[str]:
        """Files by a glob from the root. Raises `Stale` if there is none."""
        found = sorted(str(path.relative_to(self.root)) for path in self.root.glob(pattern) if path.is_file())
        if not found:
            raise Stale(f"no file is {pattern}: say where its text lives now")
        return found


class Anchor(Protocol):
    """Takes one defence away. `where` is for people."""

    @property
    def where(self) -> str: ...

    def apply(self, sources: Sources) -> None:
        """Raises `Stale`."""
        ...


@dataclass(frozen=True)
class Code:
    """In the definition `where`, the one piece of syntax `old` becomes `new`."""

    where: str
    old: str
    new: str

    def apply(self, sources: Sources) -> None:
        file, tree, node = _definition(sources, self.where)
        try:
            places = replacements(node, self.old, self.new)
        except Misfit as error:
            raise Stale(f"{self.where}: {error}") from None
        _check_one(len(places), f"{self.where} ({file})", self.old)
        places[0]()
        sources.changed[file] = ast.unparse(ast.fix_missing_locations(tree))


@dataclass(frozen=True)
class Text:
    """In the strings of the definition `where` (SQL, for one), `old` becomes `new`; white space is white space."""

    where: str
    old: str
    new: str

    def apply(self, sources: Sources) -> None:
        file, tree, node = _definition(sources, self.where)
        pattern = _folded(self.old)
        places = [(one, len(pattern.findall(one.value))) for one in _strings(node)]
        _check_one(sum(count for _, count in places), f"the strings of {self.where} ({file})", self.old)
        for constant, count in places:
            if count:
                constant.value = pattern.sub(lambda _: self.new, constant.value)
        sources.changed[file] = ast.unparse(tree)


@dataclass(frozen=True)
class Words:
    """In the files that the glob `where` names, taken together, the text `old` becomes `new`.

    `everywhere`: as often as it is there. A migration that makes a function anew takes its text along.
    """

    where: str
    old: str
    new: str
    everywhere: bool = False

    def apply(self, sources: Sources) -> None:
        pattern = _folded(self.old)
        found = {file: source for file in sources.matching(self.where) if pattern.search(source := sources.read(file))}
        count = sum(len(pattern.findall(source)) for source in found.values())
        _check_one(min(count, 1) if self.everywhere else count, self.where, self.old)
        for file, source in found.items():
            sources.changed[file] = pattern.sub(lambda _: self.new, source)


def schema(old: str, new: str) -> Words:
    """In the SQL of the migrations, the shop's and the payment service's."""
    return Words(_MIGRATIONS, old, new, everywhere=True)


def _check_one(count: int, where: str, old: str) -> None:
    if count == 0:
        raise Stale(f"{where} has no {old!r} any more: say how the defence is written now, or drop it with its test")
    if count > 1:
        raise Stale(f"{where} has {old!r} {count} times: write more of what is around the one that is meant")


def _folded(text: str) -> re.Pattern[str]:
    return re.compile(r"\s+".join(re.escape(word) for word in text.split()))


def _strings(root: ast.AST) -> list[ast.Constant]:
    """All string constants below `root`, those of f-strings included, docstrings not."""
    comments = {id(node.value) for node in ast.walk(root) if isinstance(node, ast.Expr)}
    return [
        node
        for node in ast.walk(root)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in comments
    ]


def _definition(sources: Sources, where: str) -> tuple[str, ast.Module, ast.AST]:
    """The file that has it, the file's tree as it is now, and its node in there."""
    known = _index(sources.root)
    found = [(name, file) for name, file in known if name == where] or [
        (name, file) for name, file in known if name.endswith(f".{where}")
    ]
    if not found:
        raise Stale(f"nothing is called {where}: say what it is called now, or drop the entry with its defence")
    if len(found) > 1:
        raise Stale(f"several things are called {where}: {', '.join(name for name, _ in found[:6])}; write more of it")
    [(name, file)] = found
    tree = ast.parse(sources.read(file))
    return file, tree, dict(_named(tree, _module(file)))[name]


@cache
def _index(root: Path) -> tuple[tuple[str, str], ...]:
    """Every definition of the product: its whole dotted name, and its file."""
    return tuple(
        (name, file)
        for package in PRODUCT
        for path in sorted((root / package).rglob("*.py"))
        for file in [str(path.relative_to(root))]
        for name, _ in _named(ast.parse(path.read_text()), _module(file))
    )


def _module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _named(node: ast.AST, name: str) -> Iterator[tuple[str, ast.AST]]:
    yield name, node
    for child in _below(node):
        match child:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield from _named(child, f"{name}.{child.name}")
            case ast.Assign(targets=[ast.Name(id=constant)]) | ast.AnnAssign(target=ast.Name(id=constant)) if not (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            ):
                yield f"{name}.{constant}", child


def _below(node: ast.AST) -> Iterator[ast.AST]:
    """Statements that belong to `node` itself, in whatever `if`, `with` or `try` they stand."""
    for child in ast.iter_child_nodes(node):
        yield child
        if isinstance(child, ast.stmt | ast.ExceptHandler) and not isinstance(
            child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ):
            yield from _below(child)
