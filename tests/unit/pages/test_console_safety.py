"""What the console may break, where it may."""

import asyncio
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.problems import Problem
from api.web.console import processes


async def test_a_pid_that_is_not_the_supervisors_child_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"worker": {"url": "", "pid": 1}, "supervisor_pid": 4242}')
    assert processes.processes(tmp_path) == {"worker": None}
    gateway: Any = SimpleNamespace(settings=SimpleNamespace(data_dir=tmp_path))
    for name in ("worker", "supervisor_pid"):
        with pytest.raises(Problem, match="nothing to kill"):
            await processes.kill(name, gateway)


def test_a_part_that_does_not_run_is_not_taken_for_the_gateway_itself(tmp_path: Path) -> None:
    """The gateway and the part have one parent, the supervisor, and the part has no pid at the moment."""
    (tmp_path / "stack.json").write_text(
        json.dumps({"supervisor_pid": os.getppid(), "worker": {"url": "", "pid": None}})
    )
    assert processes.processes(tmp_path) == {"worker": None}


@pytest.mark.parametrize("leads_a_group", [True, False])
async def test_a_part_is_killed_before_it_is_said_to_be(tmp_path: Path, leads_a_group: bool) -> None:
    """One that leads none stands for one that went in this moment: there is no group that could be killed."""
    part = await asyncio.create_subprocess_exec("sleep", "60", start_new_session=leads_a_group)
    try:
        (tmp_path / "stack.json").write_text(json.dumps({"supervisor_pid": os.getpid(), "worker": {"pid": part.pid}}))
        gateway: Any = SimpleNamespace(settings=SimpleNamespace(data_dir=tmp_path))
        if leads_a_group:
            assert (await processes.kill("worker", gateway)).status_code == 202
            assert await asyncio.wait_for(part.wait(), 5) == -signal.SIGKILL
        else:
            with pytest.raises(Problem, match="nothing to kill"):
                await processes.kill("worker", gateway)
    finally:
        if part.returncode is None:
            part.kill()
        await part.wait()
