"""Failpoints: inert by default; those of the campaigns are armed by a file, fired once, and recorded."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checkout.errors import SettingsError
from runtime import failpoints
from runtime.failpoints import Boundary, Step, around, failpoint
from runtime.settings import load_settings
from tests.campaigns import firing
from tests.campaigns.firing import ReplyLost

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def arm_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "failpoints.json"
    monkeypatch.setenv(firing.ARMINGS, str(path))
    firing.passes.clear()
    failpoints.enable(firing.SETTING)
    yield path
    failpoints.enable(None)


def arm(path: Path, **arming: Any) -> None:
    entry = {"id": "a", "step": "open_order", "boundary": "after", "action": "lose", **arming}
    path.write_text(json.dumps({"armings": [entry]}))


def fired(path: Path) -> list[dict[str, Any]]:
    record = firing.fired_path(path)
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []


async def pass_by(step: Step = Step.OPEN_ORDER, boundary: Boundary = Boundary.AFTER) -> bool:
    """Whether the failpoint fired."""
    try:
        await failpoint(step, boundary)
    except ReplyLost:
        return True
    return False


async def test_an_armed_failpoint_fires_once_and_is_recorded(arm_file: Path) -> None:
    arm(arm_file)
    assert [await pass_by() for _ in range(3)] == [True, False, False]
    assert [(entry["id"], entry["step"], entry["pid"]) for entry in fired(arm_file)] == [
        ("a", "open_order", os.getpid())
    ]


async def test_it_fires_at_the_hit_it_is_armed_for_and_as_often_as_asked(arm_file: Path) -> None:
    arm(arm_file, hit=2, times=2)
    assert [await pass_by() for _ in range(4)] == [False, True, True, False]


async def test_only_the_place_that_is_armed_fires(arm_file: Path) -> None:
    arm(arm_file)
    assert not await pass_by(boundary=Boundary.BEFORE)
    assert not await pass_by(Step.FULFIL_ORDER)
    assert await pass_by()


async def test_a_process_that_comes_back_does_not_fire_again(arm_file: Path) -> None:
    arm(arm_file)
    assert await pass_by()
    firing.passes.clear()  # what a restarted process does not remember
    assert not await pass_by()


async def test_arming_and_disarming_reach_a_running_process(arm_file: Path) -> None:
    assert not await pass_by()
    arm(arm_file)
    assert await pass_by()
    arm(arm_file, id="b", times=9)
    assert await pass_by()
    arm_file.unlink()  # noqa: ASYNC240 - a test waits for nobody
    assert not await pass_by()


async def test_each_version_of_the_file_is_read_once_and_it_may_go_meanwhile(
    arm_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm(arm_file, times=2)
    assert await pass_by()

    def gone(path: Path) -> bytes:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_bytes", gone)
    assert await pass_by()
    arm_file.write_text("another version")  # noqa: ASYNC240 - a test waits for nobody
    assert not await pass_by()


async def test_a_decorated_call_can_be_stopped_before_and_robbed_of_its_answer_after(arm_file: Path) -> None:
    done: list[str] = []

    @around(Step.SWEEP)
    async def call(what: str) -> str:
        done.append(what)
        return what

    arm(arm_file, step="sweep", boundary="before")
    with pytest.raises(ReplyLost):
        await call("first")
    arm(arm_file, id="b", step="sweep", boundary="after")
    with pytest.raises(ReplyLost):
        await call("second")
    assert await call("third") == "third"
    assert done == ["second", "third"]


async def test_a_sleep_holds_up_one_step_only(arm_file: Path) -> None:
    arm(arm_file, action="sleep", seconds=1)
    slow = asyncio.create_task(pass_by())
    await asyncio.sleep(0)
    begun = time.monotonic()
    assert not await pass_by()
    assert not slow.done()
    assert not await slow
    assert time.monotonic() - begun >= 0.9


_CHILD = """
import asyncio, sys
from runtime import failpoints
from runtime.failpoints import Boundary, Step, failpoint
failpoints.enable(sys.argv[1])
asyncio.run(failpoint(Step.OPEN_ORDER, Boundary.AFTER))
print("went on")
"""


@pytest.mark.parametrize("action", ["kill", "freeze"])
def test_kill_and_freeze_take_the_whole_process(tmp_path: Path, action: str) -> None:
    path = tmp_path / "failpoints.json"
    arm(path, action=action)
    command, env = [sys.executable, "-c", _CHILD, firing.SETTING], {**os.environ, firing.ARMINGS: str(path)}
    child = subprocess.Popen(command, cwd=PROJECT, env=env, stdout=subprocess.PIPE, text=True)
    try:
        if action == "kill":
            assert (child.wait(20), child.communicate()[0]) == (-signal.SIGKILL, "")
        else:
            stopped = os.waitid(os.P_PID, child.pid, os.WSTOPPED)
            assert stopped is not None
            assert stopped.si_status == signal.SIGSTOP
            child.send_signal(signal.SIGCONT)
            assert child.communicate(timeout=20)[0] == "went on\n"
    finally:
        child.kill()
        child.wait()
    assert [entry["pid"] for entry in fired(path)] == [child.pid]


def test_without_the_setting_a_failpoint_costs_next_to_nothing() -> None:
    failpoints.enable(None)
    rounds = 20_000

    async def measure() -> float:
        begun = time.perf_counter()
        for _ in range(rounds):
            await failpoint(Step.OPEN_ORDER, Boundary.AFTER)
        return (time.perf_counter() - begun) / rounds

    assert min(asyncio.run(measure()) for _ in range(5)) < 5e-6  # 0.4 µs on the slow machine


def test_production_refuses_to_start_with_failpoints_and_names_the_variable() -> None:
    good = {
        "CHECKOUT_ENV": "production",
        "STRIPE_SECRET_KEY": "sk_live_x",
        "STRIPE_WEBHOOK_SECRET": "whsec_of_our_own",
        "CHECKOUT_ADMIN_TOKEN": "a" * 32,
        "CHECKOUT_PUBLIC_URL": "https://shop.example",
    }
    load_settings(_env_file=None, **good)
    with pytest.raises(SettingsError, match="CHECKOUT_FAILPOINTS"):
        load_settings(_env_file=None, **good, CHECKOUT_FAILPOINTS=firing.SETTING)


@pytest.mark.parametrize("function", ["tests.campaigns.no_such:fire", "tests.campaigns.firing:no_such", "/tmp/f.json"])
def test_what_is_no_function_is_refused_by_the_variables_name(function: str) -> None:
    with pytest.raises(SettingsError, match="CHECKOUT_FAILPOINTS"):
        failpoints.enable(function)
