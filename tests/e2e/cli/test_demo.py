"""`checkout demo` and `checkout reset` from nothing to nothing, as on a fresh machine."""

import asyncio
import os
import stat
import sys
from pathlib import Path

from stack.config import StackConfig
from tests.support.eventually import eventually

from .conftest import run_checkout


def environment(config: StackConfig) -> dict[str, str]:
    """What a person would have to set to run on other ports."""
    return {
        **config.base_env,
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "CHECKOUT_DATA_DIR": str(config.data_dir),
        "CHECKOUT_API_PORT": str(config.api_port),
        "CHECKOUT_WORKER_PORT": str(config.worker_port),
        "CHECKOUT_PAYMENT_PORT": str(config.payment_port),
        "CHECKOUT_TEMPORAL_PORT": str(config.temporal_port),
        "CHECKOUT_TEMPORAL_UI_PORT": str(config.temporal_ui_port),
        "CHECKOUT_POSTGRES_PORT": str(config.postgres_port),
    }


def processes_of(data_dir: Path) -> list[str]:
    """Command lines and environments that name the data directory: whatever still runs of its stack."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(data_dir).encode() in text:
                found.append(text.split(b"\0")[0].decode())
    return found


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
        sys.executable, "-m", "cli.main", "demo", env=environment(config),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    log = config.data_dir / "logs" / "demo.log"
    await eventually(lambda: log.exists() and "Operator token" in log.read_text(), within=120)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.parent.stat().st_mode) == 0o700
    process.kill()
    await process.wait()
    await eventually(lambda: processes_of(config.data_dir) == [], within=60, what="the end of all it had started")


async def test_a_tour_that_cannot_start_says_why_and_leaves_nothing_running(scratch: Path) -> None:
    """Two parts on one port: the supervisor's own sentence reaches the tour's user."""
    config = StackConfig.for_tests(scratch / "clash")
    env = {**environment(config), "CHECKOUT_API_PORT": str(config.payment_port)}
    ended = await run_checkout(env, "demo")
    assert ended.code == 3
    assert str(config.payment_port) in ended.stderr
    assert processes_of(config.data_dir) == []
