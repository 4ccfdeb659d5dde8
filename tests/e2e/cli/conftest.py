"""The command as its users run it: a process, with an environment, two streams and an exit code."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from stack.stack import Stack


@dataclass(frozen=True)
class Ended:
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.stdout)


async def run_checkout(env: Mapping[str, str], *arguments: str, timeout: float = 90.0) -> Ended:
    """Never blocks the event loop: the supervisor of the stack under test lives in it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli.main",
        *arguments,
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(timeout):
            stdout, stderr = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return Ended(process.returncode or 0, stdout.decode(), stderr.decode())


Checkout = Callable[..., Awaitable[Ended]]


@pytest.fixture
def checkout(stack: Stack) -> Checkout:
    """`await checkout("buy", "pen")` against the shared stack."""
    env = stack.env
    return lambda *arguments, **options: run_checkout(env, *arguments, **options)
