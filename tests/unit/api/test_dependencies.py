"""What FastAPI calls for each request before a route's own code."""

from collections.abc import Iterator
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any

from api.app import create_app
from runtime.settings import Settings


def _dependencies(routes: Any) -> Iterator[Any]:
    for route in routes:
        if hasattr(route, "effective_candidates"):  # FastAPI's included routers
            yield from _dependencies(route.effective_candidates())
        elif hasattr(route, "dependant"):
            yield from _of(route.dependant)


def _of(dependant: Any) -> Iterator[Any]:
    for needed in dependant.dependencies:
        yield needed.call
        yield from _of(needed)


def test_no_request_is_sent_to_a_thread_for_its_dependencies() -> None:
    """FastAPI calls one that is not asynchronous in a thread: a fifth of what a checkout costs the gateway."""
    called = list(_dependencies(create_app(Settings(_env_file=None)).routes))
    assert called
    calls = {call if hasattr(call, "__name__") else type(call).__call__ for call in called}
    assert not [call for call in calls if not (iscoroutinefunction(call) or isasyncgenfunction(call))]
