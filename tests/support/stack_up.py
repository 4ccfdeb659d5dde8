"""`checkout up` as a process in a terminal, for tests."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from stack.config import StackConfig


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
async def up(
    place: Path, *options: str, parts: str = "postgres,temporal", through: tuple[str, ...] = (), **settings: str
) -> AsyncIterator[Up]:
    """Start it on free ports in `place`, perhaps `through` another program. Whatever happens, it is gone at the end."""
    config = StackConfig.for_tests(place)
    ports = {setting: str(port) for setting, port in config.ports().items()}
    process = await asyncio.create_subprocess_exec(
        *through, sys.executable, "-m", "cli", "up", "--parts", parts, *options,
        env={**config.base_env, "CHECKOUT_DATA_DIR": str(place), **ports, **settings},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Up(process, place)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
