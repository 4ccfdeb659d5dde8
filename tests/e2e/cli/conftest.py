"""The command with an environment, two streams and an exit code: as a process, as its users run it, and in this one,
where what is meant is what it does and not how it starts: a process takes a second to be there."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from cli.main import app
from stack.stack import Stack
from tests.support.stacks import environment_of


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
        "cli",
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


async def run_here(env: Mapping[str, str], *arguments: str) -> Ended:
    """In a thread, with exactly this environment. One at a time: it takes the process's streams."""
    exactly = {name: env.get(name) for name in os.environ.keys() | env.keys()}
    with patch.dict(os.environ):  # a command may set what the process is its own to set
        done = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=exactly)
    return Ended(done.exit_code, done.stdout, done.stderr)


Checkout = Callable[..., Awaitable[Ended]]


@pytest.fixture
def checkout(stack: Stack) -> Checkout:
    """`await checkout("buy", "pen")` against the shared stack."""
    env = environment_of(stack)
    return lambda *arguments: run_here(env, *arguments)


@pytest.fixture
def checkout_process(stack: Stack) -> Checkout:
    """The same, as a process."""
    env = environment_of(stack)
    return lambda *arguments, **options: run_checkout(env, *arguments, **options)
