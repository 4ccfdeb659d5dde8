"""What the console's overview reads."""

import asyncio
from types import SimpleNamespace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from api.board import SPANS, Board, Charts, Span


async def test_a_slow_week_keeps_nobody_waiting_who_looks_at_the_hour() -> None:
    charts: Any = SimpleNamespace()

    async def read(_engine: AsyncEngine, span: Span) -> Charts:
        if span.name == "week":
            await asyncio.Event().wait()
        return charts

    unused: Any = None
    board = Board(unused, unused, read)
    week = asyncio.create_task(board.charts(SPANS["week"]))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(board.charts(SPANS["hour"]), 5) is charts
    week.cancel()
