"""Supervised processes of a test's own, and a screen that remembers."""

# ruff: noqa: ASYNC110 - tests look at foreign processes, which nobody announces

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from stack.parts import Part
from stack.probes import tcp_open
from stack.supervisor import Event, Keeper, start_all, stop_all
from tests.support.stacks import alive

LISTEN = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"


class Notes:
    """A screen that remembers, and lets a test wait for what it is about to see."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.readied: list[str] = []
        self.troubles: list[str] = []
        self._changed = asyncio.Event()

    def __call__(self, part: str, event: Event, text: str) -> None:
        if event == "line":
            self.lines.append(f"{part} | {text}")
        elif event == "ready":
            self.readied.append(part)
        elif event == "trouble":
            self.troubles.append(text)
        self._changed.set()

    async def until(self, condition: Callable[[], bool], within: float = 30.0) -> None:
        async with asyncio.timeout(within):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


def part(name: str, code: str, *arguments: str, **fields: object) -> Part:
    return Part(name=name, argv=(sys.executable, "-c", code, *arguments), env=dict(os.environ), **fields)


def server(name: str, port: int, **fields: object) -> Part:
    return part(name, LISTEN, str(port), ready=partial(tcp_open, "127.0.0.1", port), **fields)


@asynccontextmanager
async def supervised(logs: Path, *parts: Part) -> AsyncIterator[tuple[dict[str, Keeper], Notes]]:
    notes = Notes()
    keepers = {part.name: Keeper(part, logs, notes) for part in parts}
    try:
        await start_all(keepers)
        yield keepers, notes
    finally:
        await stop_all(keepers)


async def until_gone(pid: int, within: float = 20.0) -> None:
    """For processes that are not our children: there is nothing to wait on but their absence."""
    async with asyncio.timeout(within):
        while alive(pid):
            await asyncio.sleep(0.01)
