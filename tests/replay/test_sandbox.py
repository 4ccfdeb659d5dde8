"""The sandbox sees all of our workflow code: what no workflow may do is planted in every module of it, and caught.

A module that the sandbox passes through is the host's, and nothing in it is guarded. So each module is given to the
sandbox with the forbidden thing at the beginning of every function, while a recorded history replays.
"""

import ast
import importlib.abc
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

import worker.workflows
from tests.replay.record import path_of
from tests.replay.test_replay import load, replayer
from worker.app import WORKFLOWS

FORBIDDEN = {
    "a clock": ("import datetime", "datetime.datetime.now()"),
    "another clock": ("import time", "time.time()"),
    "random": ("import random", "random.random()"),
    "uuid4": ("import uuid", "uuid.uuid4()"),
    "the environment": ("import os", "os.environ['PATH']"),
    "a socket": ("import socket", "socket.socket()"),
    "a thread": ("import threading", "threading.Thread(target=print).start()"),
}
STORIES = ("paid", "settlement_of_late_money", "refund", "sweep")
_HERE = [f"worker.workflows.{module.name}" for module in pkgutil.iter_modules(worker.workflows.__path__)]
MODULES = (*_HERE, "worker.shield", "worker.steps", "checkout.settling")


class Planter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module to whoever imports it from now on, which is the sandbox, with `line` in every function."""

    def __init__(self, name: str, imported: str, line: str) -> None:
        self.name, self.imported, self.line = name, imported, line
        self.was_asked = False
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
                node.body[:0] = ast.parse(self.line).body
        tree.body[1:1] = ast.parse(self.imported).body  # behind the docstring
        exec(compile(ast.fix_missing_locations(tree), self.origin, "exec"), module.__dict__)


@contextmanager
def planted(name: str, imported: str, line: str) -> Iterator[Planter]:
    planter = Planter(name, imported, line)
    sys.meta_path.insert(0, planter)
    try:
        yield planter
    finally:
        sys.meta_path.remove(planter)


async def told(story: str) -> str:
    """What the replay of the story fails with; nothing, if it does not."""
    try:
        await replayer(*WORKFLOWS).replay_workflow(load(path_of(story)))
    except Exception as error:
        return "".join(traceback.format_exception(error))
    return ""


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("what", FORBIDDEN)
async def test_what_no_workflow_may_do_is_caught_in_every_module_of_their_code(name: str, what: str) -> None:
    was_run = False
    for story in STORIES:
        with planted(name, *FORBIDDEN[what]) as planter:
            if failure := await told(story):
                assert "from inside a workflow" in failure
                return
        was_run |= planter.was_asked
    pytest.fail(f"{what} in {name}: " + ("no story noticed" if was_run else "the sandbox passes the module through"))
