"""What goes on beside a process goes on as long as it does, and has ended when it has."""

import asyncio
import contextlib

from runtime.background import beside


async def test_works_go_on_beside_the_block_and_have_ended_behind_it_whatever_ended_it() -> None:
    told: list[str] = []

    async def work(name: str) -> None:
        told.append(f"{name} begins")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # ending takes a moment
            told.append(f"{name} ends")

    with contextlib.suppress(ValueError):
        async with beside(work("a"), work("b")):
            await asyncio.sleep(0)
            told.append("the block")
            raise ValueError
    assert told == ["a begins", "b begins", "the block", "a ends", "b ends"]
