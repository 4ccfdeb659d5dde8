"""`checkout demo` and `checkout reset` from nothing to nothing, as on a fresh machine."""

import asyncio
import os
import stat
import sys
from pathlib import Path

import psutil

from stack.config import StackConfig
from stack.data_dir import read_state
from tests.support.eventually import eventually

from .conftest import run_checkout


def environment(config: StackConfig) -> dict[str, str]:
    """What a person would have to set to run on other ports."""
    return {
        **config.base_env,
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "CHECKOUT_DATA_DIR": str(config.data_dir),
        **{setting: str(port) for setting, port in config.ports().items()},
    }


def processes_of(data_dir: Path) -> list[str]:
    """What is left of its stack: whatever runs in the data directory, or has it in its command line or environment."""
    everybody = psutil.process_iter(["pid", "cmdline", "environ", "cwd"])
    return [str(one.info["cmdline"]) for one in everybody if str(data_dir) in str(one.info) and one.pid != os.getpid()]


async def test_the_tour_starts_everything_keeps_every_promise_and_leaves_nothing_running(scratch: Path) -> None:
    config = StackConfig.for_tests(scratch / "demo")
    env = environment(config)
    nobody = await run_checkout(env, "buy")
    assert (nobody.code, "make up" in nobody.stderr) == (3, True)

    toured = await run_checkout(env, "demo", "--json", timeout=150)
    summary = toured.json
    assert toured.code == 0, toured.stdout
    assert (summary["ok"], summary["started_the_stack"]) == (True, True)
    assert [scene["ok"] for scene in summary["scenes"]] == [True] * 4
    assert "fulfilled, charged once" in summary["scenes"][1]["proof"]
    assert summary["seconds"] < 60
    assert processes_of(config.data_dir) == []

    forgotten = await run_checkout(env, "reset", "--yes", "--json")
    assert forgotten.code == 0
    assert {"postgres", "secrets"} <= set(forgotten.json["removed"])
    assert list(config.data_dir.iterdir()) == []


async def test_a_tour_that_is_killed_leaves_nothing_running_and_told_its_secrets_to_nobody(scratch: Path) -> None:
    config = StackConfig.for_tests(scratch / "killed")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "demo", env=environment(config),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await eventually(lambda: "gateway" in (read_state(config.data_dir) or {}), within=120, what="a whole stack")
    token = str((read_state(config.data_dir) or {})["admin_token"])
    assert stat.S_IMODE((config.data_dir / "logs").stat().st_mode) == 0o700
    assert not [log.name for log in (config.data_dir / "logs").iterdir() if token in log.read_text(errors="replace")]
    process.kill()
    await process.wait()
    await eventually(lambda: processes_of(config.data_dir) == [], within=60, what="the end of all it had started")


async def test_a_tour_that_cannot_start_says_why_and_leaves_nothing_running(scratch: Path) -> None:
    """Two parts on one port: the supervisor's own sentence reaches the tour's user."""
    config = StackConfig.for_tests(scratch / "clash")
    env = {**environment(config), "CHECKOUT_API_PORT": str(config.settings.payment_port)}
    ended = await run_checkout(env, "demo")
    assert ended.code == 3
    assert str(config.settings.payment_port) in ended.stderr
    assert processes_of(config.data_dir) == []
