"""Wait for what will be true soon, and no longer than it takes."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")

PAUSE = 0.02


async def eventually(
    look: Callable[[], Value | Awaitable[Value]], *, within: float = 20.0, what: str = "the condition"
) -> Value:
    """The first true answer of `look`, asked again and again. Raises `AssertionError` after `within` seconds."""
    answer: Value | None = None
    try:
        async with asyncio.timeout(within):
            while True:
                found = look()
                answer = await found if inspect.isawaitable(found) else found
                if answer:
                    return answer
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        raise AssertionError(f"{what} did not come true within {within} s; last seen: {answer!r}") from None
