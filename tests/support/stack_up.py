"""`checkout up` as a process in a terminal, for tests."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from stack.ports import free_ports


class Up:
    """A running `python -m cli up`."""

    def __init__(self, process: asyncio.subprocess.Process, path: Path) -> None:
        self.process = process
        self.path = path
        self.output = ""

    async def until(self, text: str, within: float = 40.0) -> None:
        async with asyncio.timeout(within):
            while text not in self.output:
                line = await self.process.stdout.readline()
                assert line, f"it ended without saying {text!r}:\n{self.output}"
                self.output += line.decode()

    async def end(self, within: float = 30.0) -> int:
        async with asyncio.timeout(within):
            self.output += (await self.process.stdout.read()).decode()
            return await self.process.wait()

    def pids(self) -> list[int]:
        state = json.loads((self.path / "stack.json").read_text())
        return [part["pid"] for part in state.values() if isinstance(part, dict)]


@asynccontextmanager
async def up(place: Path, *options: str, parts: str = "postgres,temporal", **settings: str) -> AsyncIterator[Up]:
    """Start it on free ports in `place`. Whatever happens, it is gone at the end."""
    names = ("API", "PAYMENT", "TEMPORAL", "TEMPORAL_UI", "POSTGRES", "WORKER")
    ports = {f"CHECKOUT_{name}_PORT": str(port) for name, port in zip(names, free_ports(len(names)), strict=True)}
    ours = ("CHECKOUT_", "STRIPE_", "TEMPORAL_", "DATABASE_URL")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "up", "--parts", parts, *options,
        env={**env, "CHECKOUT_DATA_DIR": str(place), **ports, **settings},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Up(process, place)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
