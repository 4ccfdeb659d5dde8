"""What the console may break, where it may."""

import json
import os
from pathlib import Path

from api.web.console import processes


def test_a_pid_that_is_not_the_supervisors_child_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"worker": {"url": "", "pid": 1}, "supervisor_pid": 4242}')
    assert [process.pid for process in processes.processes(tmp_path)] == [None]
    assert processes.kill(tmp_path, "worker") is False
    assert processes.kill(tmp_path, "supervisor_pid") is False


def test_a_part_that_does_not_run_is_not_taken_for_the_gateway_itself(tmp_path: Path) -> None:
    """The gateway and the part have one parent, the supervisor, and the part has no pid at the moment."""
    (tmp_path / "stack.json").write_text(
        json.dumps({"supervisor_pid": os.getppid(), "worker": {"url": "", "pid": None}})
    )
    assert [process.pid for process in processes.processes(tmp_path)] == [None]
