"""What a campaign says of a promise that was not kept, and of a fault that did not happen."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import httpx

T = TypeVar("T")


class Violated(AssertionError):
    """An invariant does not hold, or a customer was lied to."""


class Void(AssertionError):
    """A fault was planned and did not happen: the run proves nothing."""


def expect(condition: object, what: str) -> None:
    if not condition:
        raise Violated(f"expected {what}")


async def in_time(ask: Callable[[], Coroutine[Any, Any, T | None]], within: float, otherwise: str) -> T:
    """The first answer of `ask` that is not None; connection errors count as none. Raises `Violated(otherwise)`."""
    deadline = time.monotonic() + within
    while True:
        try:
            answer = await ask()
        except httpx.TransportError:
            answer = None
        if answer is not None:
            return answer
        if time.monotonic() > deadline:
            raise Violated(f"{otherwise} (waited {within:g} s)")
        await asyncio.sleep(0.05)
