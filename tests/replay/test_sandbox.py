"""The sandbox sees all of our workflow code: what no workflow may do is planted in every module of it, and caught; and
the few modules that pass through the sandbox can do none of it.

Each module is given to the sandbox with functions that try the forbidden things. While a recorded history replays, the
workflow has them tried.
"""

import ast
import importlib.abc
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import pytest
from temporalio.worker.workflow_sandbox import RestrictedWorkflowAccessError

from tests.replay.record import path_of
from tests.replay.test_replay import load, replayer
from tests.support.sandbox import STEPS, VALUES
from worker.app import WORKFLOWS, Dependencies

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "a clock": "datetime.datetime.now()",
    "another clock": "time.time()",
    "random": "random.random()",
    "secrets": "secrets.token_hex()",
    "uuid4": "uuid.uuid4()",
    "the environment": "os.environ['PATH']",
    "a socket": "socket.socket()",
    "a thread": "threading.Thread(target=print).start()",
}
_TRY = """
@_tries.append
def _try():
    try:
        {line}
    except _Refused as error:
        _caught[{what!r}] = str(error)
"""
PLANTED = "import datetime, os, random, secrets, socket, threading, time, uuid\n_tries = []" + "".join(
    _TRY.format(what=what, line=line) for what, line in FORBIDDEN.items()
)
STORIES = ("paid", "settlement_of_late_money", "refund", "sweep")  # one of each workflow
DEFINITIONS = [workflow.__module__ for workflow in WORKFLOWS]


def is_passed_through(name: str) -> bool:
    return name in VALUES or f"{name}.".startswith(f"{STEPS}.")


def source_of(name: str) -> Path | None:
    """Of a module of ours; None of all others, and of what is no module."""
    path = ROOT.joinpath(*name.split("."))
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.exists()), None)


def tree_of(name: str) -> ast.Module:
    path = source_of(name)
    assert path is not None, name
    return ast.parse(path.read_text())


def imported_by(name: str) -> Iterator[tuple[str, str]]:
    """Module and name of every import, wherever in the module it stands."""
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert not any(one.asname for one in node.names), f"{name}: other names are not followed here"
        if isinstance(node, ast.Import):
            yield from ((one.name, "") for one in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{name}: relative imports are not followed here"
            yield from ((node.module, one.name) for one in node.names)


def workflow_code() -> list[str]:
    """The modules with workflows in them, and whatever of ours they import, directly or not, inside the sandbox."""
    found, new = set[str](), set(DEFINITIONS)
    while new:
        found |= new
        named = {name for module in new for pair in imported_by(module) for name in (pair[0], ".".join(pair))}
        packages = {name.rpartition(".")[0] for name in named}
        new = {name for name in named | packages if source_of(name) and not is_passed_through(name)} - found
    return sorted(found)


MODULES = workflow_code()


class Planter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module to whoever imports it from now on, which is the sandbox, with tries of all that is forbidden in
    it; and the workflows, which have them tried wherever they begin a function. `caught` is what was refused, and how.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.was_asked = False
        self.caught: dict[str, str] = {}
        self.specs = {one: importlib.util.find_spec(one) for one in (name, *DEFINITIONS)}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if (spec := self.specs.get(fullname)) is None:
            return None
        self.was_asked |= fullname == self.name
        below = spec.submodule_search_locations
        return importlib.util.spec_from_file_location(
            fullname, spec.origin, loader=self, submodule_search_locations=below
        )

    def exec_module(self, module: ModuleType) -> None:
        tree = tree_of(module.__name__)
        if module.__name__ in DEFINITIONS:
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    node.body[:0] = ast.parse("_try_all()").body
        if module.__name__ == self.name:
            tree.body[1:1] = ast.parse(PLANTED).body  # behind the docstring
        module.__dict__.update(_caught=self.caught, _Refused=RestrictedWorkflowAccessError, _try_all=self.try_all)
        exec(compile(ast.fix_missing_locations(tree), str(source_of(module.__name__)), "exec"), module.__dict__)

    def try_all(self) -> None:
        """Inside the sandbox, where `sys.modules` are the sandbox's."""
        for one in getattr(sys.modules.get(self.name), "_tries", ()):
            one()


@contextmanager
def planted(name: str) -> Iterator[Planter]:
    planter = Planter(name)
    sys.meta_path.insert(0, planter)
    try:
        yield planter
    finally:
        sys.meta_path.remove(planter)


@pytest.mark.parametrize("name", MODULES)
async def test_what_no_workflow_may_do_is_caught_in_every_module_of_their_code(name: str) -> None:
    with planted(name) as planter:
        for story in STORIES:
            await replayer(*WORKFLOWS).replay_workflow(load(path_of(story)))
            if planter.caught.keys() == FORBIDDEN.keys():
                break
    assert planter.was_asked, f"the sandbox passes {name} through"
    assert planter.caught.keys() == FORBIDDEN.keys(), f"not caught in {name}"
    assert all("from inside a workflow" in told for told in planter.caught.values())


def test_what_is_looked_for_is_found() -> None:
    assert {"worker.workflows.actions", "worker.steps", "worker.policies", "checkout.settling"} <= set(MODULES)


@pytest.mark.parametrize("name", [*MODULES, *VALUES])
def test_nothing_gets_around_the_sandbox(name: str) -> None:
    """What may pass through is said in one place, and there is no other way out."""
    path = source_of(name)
    assert path is not None
    assert re.findall(r"\bunsafe\b|\bsandboxed\b|\b__import__\b|\bimportlib\b", path.read_text()) == []


PURE = {"collections.abc", "dataclasses", "datetime", "enum", "hashlib", "json"}
CLOCKS_AND_IO = {"now", "utcnow", "today", "open", "input", "print", "exec", "eval"}


@pytest.mark.parametrize("name", VALUES)
def test_values_that_pass_through_are_values(name: str) -> None:
    """They can reach no clock, chance, environment or I/O: of ours, they know each other and constants."""
    for module, what in imported_by(name):
        assert module in PURE or module in VALUES or (source_of(module) and what.isupper()), f"{name} uses {module}"
    named = {getattr(node, "attr", None) or getattr(node, "id", None) for node in ast.walk(tree_of(name))}
    assert not named & CLOCKS_AND_IO, name


@pytest.mark.parametrize("name", MODULES)
def test_workflows_name_steps_and_use_nothing_else_that_passes_through_with_them(name: str) -> None:
    tree, steps = (
        tree_of(name),
        {step.__qualname__ for step in Dependencies(MagicMock(), MagicMock(), MagicMock(), 1.0).activities()},
    )
    imported = {what for module, what in imported_by(name) if f"{module}.{what}".startswith(STEPS)}
    named = {node: ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    fine = {node.value for node, text in named.items() if text in steps and node not in called}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in imported:
            assert node in fine, f"{name}, line {node.lineno}: {node.id}"
    assert imported <= {step.partition(".")[0] for step in steps}, name
