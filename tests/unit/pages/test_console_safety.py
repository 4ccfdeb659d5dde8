"""What the console may break, where it may."""

from pathlib import Path

from api.web.console import processes


def test_a_pid_that_is_not_the_supervisors_child_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"worker": {"url": "", "pid": 1}, "supervisor_pid": 4242}')
    assert [process.pid for process in processes.processes(tmp_path)] == [None]
    assert processes.kill(tmp_path, "worker") is False
    assert processes.kill(tmp_path, "supervisor_pid") is False
