"""CPU accounting, on a made-up /proc and on this machine's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cpu import CpuMeter, cpu_seconds

TICKS = os.sysconf("SC_CLK_TCK")


def process(
    proc: Path, pid: int, parent: int, name: str = "x", ticks: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> None:
    (proc / str(pid)).mkdir(exist_ok=True)
    before = "S", str(parent), *["0"] * 9
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(before)} {' '.join(map(str, ticks))} 0 0\n")


def test_a_part_is_its_process_and_all_descendants_even_buried_ones(tmp_path: Path) -> None:
    (tmp_path / "uptime").write_text("1 2")
    process(tmp_path, 10, 1, "post (g) res", (TICKS, TICKS, 2 * TICKS, TICKS))
    process(tmp_path, 11, 10, ticks=(TICKS, 0, 0, 0))
    process(tmp_path, 12, 11, ticks=(0, TICKS, 0, 0))
    process(tmp_path, 20, 1, ticks=(7 * TICKS, 0, 0, 0))
    assert cpu_seconds({"postgres": 10, "worker": 20, "gone": 99}, tmp_path) == {"postgres": 7.0, "worker": 7.0}


def test_a_machine_without_proc_measures_nothing(tmp_path: Path) -> None:
    assert cpu_seconds({"worker": 1}, tmp_path / "none") == {}


def test_work_of_a_child_is_seen_while_it_lives_and_after() -> None:
    meter = CpuMeter({"me": os.getpid()})
    meter.start()
    burn = "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    spent = meter.stop()
    assert spent["me"] >= 0.19  # clock ticks are 10 ms
    assert spent["client"] < spent["me"]


def test_what_others_took_is_the_machine_s_work_less_ours(tmp_path: Path) -> None:
    process(tmp_path, 10, 1)
    (tmp_path / "stat").write_text("cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 9 9 9 9\n")
    meter = CpuMeter({"worker": 10}, tmp_path)
    meter.start()
    process(tmp_path, 10, 1, ticks=(3 * TICKS, 0, 0, 0))
    busy = [2 * TICKS, TICKS, TICKS, 10 * TICKS, 4 * TICKS, 0, TICKS, TICKS, 2 * TICKS, 0]  # 6 s of work, 20 in all
    (tmp_path / "stat").write_text(f"cpu  {' '.join(map(str, busy))}\n")
    assert meter.stop()["worker"] == 3.0
    assert meter.others == pytest.approx(3 / 20, abs=0.01)


def test_without_every_part_s_share_nobody_knows_what_others_took(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  0 0 0 0 0 0 0 0 0 0\n")
    meter = CpuMeter({"died": 10}, tmp_path)
    meter.start()
    meter.stop()
    assert meter.others is None
