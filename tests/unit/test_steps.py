"""Nothing that writes is without its step: every activity, every route, every use of a step in the code."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

from api.app import create_app
from runtime.failpoints import Step
from runtime.settings import Settings
from tests.campaigns.registry import STEPS, TRANSACTION, Process
from worker.app import Dependencies

PROJECT = Path(__file__).parents[2]
# Routes that write nothing of the shop's: what they do is no step of any order.
NOT_STEPS = {
    "POST /admin/login",
    "POST /admin/logout",
    "POST /admin/console/audit",  # an audit that is cut off has noted nothing: all is still due
    "POST /admin/console/processes/{name}/kill",
}


def test_every_activity_is_covered_by_a_step() -> None:
    activities = Dependencies(MagicMock(), MagicMock(), MagicMock(), 1.0).activities()
    names = {activity.__name__ for activity in activities}
    covered = {name for place in STEPS.values() if place.process is Process.WORKER for name in place.covers}
    assert names == covered


def test_every_writing_route_of_the_gateway_is_covered_by_a_step() -> None:
    routes = set(_writing_routes(create_app(Settings(_env_file=None)).routes))
    covered = {name for place in STEPS.values() if place.process is Process.GATEWAY for name in place.covers}
    assert routes - NOT_STEPS == covered


def test_every_step_is_used_in_the_code_of_its_process_with_the_boundaries_it_declares() -> None:
    """Calls: `@around(Step.X)`; transactions: `transaction(engine, Step.X)`."""
    found: dict[Process, dict[str, set[Step]]] = {
        process: {"around": set(), "transaction": set()} for process in Process
    }
    for process, folder in ((Process.GATEWAY, "api"), (Process.WORKER, "worker")):
        for file in (PROJECT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in found[process]:
                    step = next(arg for arg in node.args if isinstance(arg, ast.Attribute) and _is_step(arg))
                    found[process][node.func.id].add(Step[step.attr])
    for process in Process:
        own = {step: place for step, place in STEPS.items() if place.process is process}
        transactions = {step for step, place in own.items() if place.boundaries == TRANSACTION}
        assert found[process]["transaction"] == transactions
        assert found[process]["around"] == own.keys() - transactions
    assert set(STEPS) == set(Step)


def _writing_routes(routes: Sequence[Any]) -> Iterator[str]:
    """`METHOD path`, through included routers."""
    for route in routes:
        if (router := getattr(route, "original_router", None)) is not None:
            yield from _writing_routes(router.routes)
        else:
            yield from (f"{method} {route.path}" for method in (route.methods or set()) - {"GET", "HEAD"})


def _is_step(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "Step"
