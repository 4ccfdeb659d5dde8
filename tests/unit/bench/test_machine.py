"""CPU and memory of this machine's own processes."""

import os
import subprocess
import sys

import pytest

from bench.machine import CpuMeter, cpu_seconds, memory_bytes

_BURN = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"


def nobody() -> int:
    """The id of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_part_is_its_process_and_all_descendants_even_buried_ones() -> None:
    before = cpu_seconds({"me": os.getpid()})["me"]
    subprocess.run([sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_BURN!r}])"])
    assert cpu_seconds({"me": os.getpid()})["me"] - before >= 0.2  # clock ticks are 10 ms


def test_work_of_a_child_is_seen_while_it_lives() -> None:
    before = cpu_seconds({"me": os.getpid()})["me"]
    child = subprocess.Popen([sys.executable, "-c", f"{_BURN}\nprint(flush=True)\ninput()"], stdin=-1, stdout=-1)
    assert child.stdout is not None
    child.stdout.readline()
    assert cpu_seconds({"me": os.getpid()})["me"] - before >= 0.2
    child.communicate(b"\n")


def test_what_a_child_holds_counts_and_who_has_ended_is_left_out() -> None:
    before = memory_bytes({"me": os.getpid()})["me"]
    hold = "held = b'x' * 50_000_000\nprint(flush=True)\ninput()"
    child = subprocess.Popen([sys.executable, "-c", hold], stdin=-1, stdout=-1)
    assert child.stdout is not None
    child.stdout.readline()
    assert memory_bytes({"me": os.getpid()})["me"] - before > 30_000_000  # others under this process may give some back
    child.communicate(b"\n")
    assert set(memory_bytes({"me": os.getpid(), "ended": nobody()})) == {"me"}


def test_the_load_generator_s_own_share_is_told_apart() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", f"input()\n{_BURN}\nprint(flush=True)\ninput()"], stdin=-1, stdout=-1
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with CpuMeter({"part": child.pid}) as meter:
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
    child.communicate(b"\n")
    assert meter.spent["part"] >= 0.2
    assert meter.spent["client"] < 0.2  # it waited
    assert meter.others is not None
    assert 0 <= meter.others < 1


def test_without_every_part_s_share_nobody_knows_what_others_took() -> None:
    with CpuMeter({"ended": nobody()}) as meter:
        pass
    assert list(meter.spent) == ["client"]
    assert meter.others is None


def test_what_others_took_is_the_machine_s_work_less_ours() -> None:
    moments = iter([(10.0, 100.0), (16.0, 120.0)])
    with CpuMeter({}, lambda: next(moments)) as meter:
        pass
    assert meter.others == pytest.approx(6 / 20, abs=0.02)
