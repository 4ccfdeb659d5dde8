"""Turns and medians of a comparison, without running anything."""

from typing import Any

import pytest
from typer.testing import CliRunner

from bench.__main__ import app
from bench.compare import Plan
from bench.contestants import CONTESTANTS
from bench.report import draw, summarize, table
from bench.workloads import WORKLOADS


def plan(*names: str, rounds: int, only: tuple[str, ...]) -> list[tuple[int, str, list[str]]]:
    whole = Plan([CONTESTANTS[name] for name in names], [WORKLOADS[name] for name in only], rounds)
    return [(number, who.name, [each.name for each in what]) for number, who, what in whole.turns()]


def peak(who: str, number: int, throughput: float) -> dict[str, Any]:
    cpu = {"worker": 0.02, "postgres": 0.01, "client": 0.5}
    return {"who": who, "round": number, "workload": "peak", "throughput": throughput, "cpu_seconds_per_checkout": cpu}


def test_contestants_take_turns_and_what_does_not_repeat_is_done_last() -> None:
    assert plan("ours", "bare", rounds=2, only=("peak", "closed", "rush")) == [
        (1, "ours", ["peak"]),
        (1, "bare", ["peak"]),
        (2, "ours", ["peak", "closed", "rush"]),
        (2, "bare", ["peak", "closed"]),
    ]


def test_a_peer_without_anything_to_do_is_not_started() -> None:
    assert plan("ours", "bare", rounds=1, only=("rush",)) == [(1, "ours", ["rush"])]


def test_the_summary_is_of_medians_and_how_many_times_ours_is_of_each() -> None:
    results = [peak("ours", 1, 30.0), peak("bare", 1, 61.0), peak("ours", 2, 34.0), peak("bare", 2, 60.0)]
    results += [
        peak("ours", 3, 10.0),
        peak("bare", 3, 59.0),
        {"who": "bare", "round": 3, "workload": "one", "failed": "x"},
    ]
    summary = summarize(results)
    assert (summary["ours"]["throughput"], summary["bare"]["ours_to_this"]) == (30.0, 0.5)
    assert summary["ours"]["throughput_range"] == [10.0, 34.0]
    assert summary["ours"]["cpu_seconds"] == pytest.approx(0.03), "the load generator's CPU is nobody's cost"
    assert summary["bare"]["answer_p50_one_client"] is None


def test_what_was_measured_becomes_a_table_and_pictures(tmp_path: Any) -> None:
    results = [peak("ours", 1, 30.0), peak("bare", 1, 60.0)]
    document = {"results": results, "summary": summarize(results)}
    assert "| no durability | **60.0** (60.0 to 60.0) | 0.50 | 30 ms | - | -, - |" in table(document).splitlines()
    draw(document, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"throughput.svg", "cpu.svg"}
    assert all(path.read_text().startswith("<?xml") for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["--only", "peak,fast"], "fast"), (["--peers", "dbso"], "dbso"), (["--peers", ","], "nothing")],
)
def test_a_name_that_is_not_known_is_refused_with_those_that_are(arguments: list[str], word: str) -> None:
    result = CliRunner().invoke(app, ["run", *arguments])
    assert (result.exit_code, word in result.output) == (2, True)
    assert ("rush" if "--only" in arguments else "temporal") in result.output


def test_the_help_tells_every_contestant_and_every_workload() -> None:
    shown = " ".join(CliRunner().invoke(app, ["run", "--help"]).output.split())
    for each in [*CONTESTANTS.values(), *WORKLOADS.values()]:
        assert each.name in shown, each.name
