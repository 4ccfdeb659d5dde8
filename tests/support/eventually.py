"""Wait for what will be true soon, and no longer than it takes."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

Value = TypeVar("Value")

_FIRST, _LAST = 0.01, 0.1  # seconds between two looks, growing: each costs whoever is asked, and others wait for a core


@overload
async def eventually(look: Callable[[], Awaitable[Value | None]], *, within: float = ..., what: str = ...) -> Value: ...
@overload
async def eventually(look: Callable[[], bool], *, within: float = ..., what: str = ...) -> bool: ...
async def eventually(look: Callable[[], Any], *, within: float = 20.0, what: str = "the condition") -> Any:
    """The first true answer of `look`, asked again and again. Raises `AssertionError` after `within` seconds."""
    answer: Any = None
    pause = _FIRST
    try:
        async with asyncio.timeout(within):
            while True:
                found = look()
                answer = await found if inspect.isawaitable(found) else found
                if answer:
                    return answer
                await asyncio.sleep(pause)
                pause = min(pause * 1.3, _LAST)
    except TimeoutError:
        raise AssertionError(f"{what} did not come true within {within} s; last seen: {answer!r}") from None
