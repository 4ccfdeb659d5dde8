"""The sandbox sees all of our workflow code: what no workflow may do is planted in every module of it, and caught.

A module that the sandbox passes through is the host's, and nothing in it is guarded. So each module is given to the
sandbox with the forbidden thing at the beginning of every function, while a recorded history replays.
"""

import ast
import importlib.abc
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
from temporalio.worker.workflow_sandbox import RestrictedWorkflowAccessError

import worker.workflows
from tests.replay.record import path_of
from tests.replay.test_replay import load, replayer
from worker.app import WORKFLOWS

FORBIDDEN = {
    "a clock": "datetime.datetime.now()",
    "another clock": "time.time()",
    "random": "random.random()",
    "uuid4": "uuid.uuid4()",
    "the environment": "os.environ['PATH']",
    "a socket": "socket.socket()",
    "a thread": "threading.Thread(target=print).start()",
}
_TRY = """
def _try_{number}():
    try:
        {line}
    except _Refused as error:
        _caught[{what!r}] = str(error)
"""
PLANTED = "import datetime, os, random, socket, threading, time, uuid" + "".join(
    _TRY.format(number=number, what=what, line=line) for number, (what, line) in enumerate(FORBIDDEN.items())
)
EVERYWHERE = "\n".join(f"_try_{number}()" for number in range(len(FORBIDDEN)))
STORIES = ("paid", "settlement_of_late_money", "refund", "sweep")
_HERE = [f"worker.workflows.{module.name}" for module in pkgutil.iter_modules(worker.workflows.__path__)]
MODULES = (*_HERE, "worker.shield", "worker.steps", "checkout.settling")


class Planter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module to whoever imports it from now on, which is the sandbox, with all that is forbidden at the
    beginning of every function. `caught` is what was refused there, and how."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.was_asked = False
        self.caught: dict[str, str] = {}
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        self.origin = spec.origin

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        self.was_asked = True
        return importlib.util.spec_from_loader(fullname, self, origin=self.origin)

    def exec_module(self, module: ModuleType) -> None:
        tree = ast.parse(Path(self.origin).read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                node.body[:0] = ast.parse(EVERYWHERE).body
        tree.body[1:1] = ast.parse(PLANTED).body  # behind the docstring
        module.__dict__.update(_caught=self.caught, _Refused=RestrictedWorkflowAccessError)
        exec(compile(ast.fix_missing_locations(tree), self.origin, "exec"), module.__dict__)


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
