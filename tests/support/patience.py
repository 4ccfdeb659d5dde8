"""Ask as every client should: again, with the same key, for as long as the answer is "not yet" or "not now"."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx

NOT_YET = frozenset({202, 503})
_PAUSE = 0.2  # seconds


async def answered(ask: Callable[[], Awaitable[httpx.Response]], within: float = 30.0) -> httpx.Response:
    """The first answer that is neither 202 nor 503. A machine that stalls for some seconds makes these; to wait for
    the end of a stall is no part of what most tests prove. Raises `AssertionError` after `within` seconds."""
    answer = await ask()
    try:
        async with asyncio.timeout(within):
            while answer.status_code in NOT_YET:
                await asyncio.sleep(_PAUSE)
                answer = await ask()
    except TimeoutError:
        raise AssertionError(f"still {answer.status_code} after {within} s: {answer.text}") from None
    return answer
