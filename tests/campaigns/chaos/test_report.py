"""The report says what happened, and never calls a failed campaign a good one."""

import json
import shutil
from collections import Counter
from pathlib import Path

from tests.campaigns.chaos.campaign import Campaign
from tests.campaigns.chaos.matrix import Result
from tests.campaigns.chaos.race import RaceResult
from tests.campaigns.chaos.recovery import Recovery
from tests.campaigns.chaos.report import Report
from tests.campaigns.chaos.storm import StormResult


def report() -> Report:
    return Report(
        seed=7,
        machine="a machine",
        results=[Result("worker x kill", "worker failpoints", "dispatched", seconds=3.0)],
        recoveries=[Recovery("gateway", [1.0, 2.0, 2.5])],
        race=RaceResult(0.05, paid=Counter({-5: 3}), closed=Counter({5: 4})),
        storms=[StormResult(60, 7, 20, Counter({"SIGKILL worker": 2}), Counter({"dispatched": 9}), 5)],
        schedules=(10_000, 1200.0),
        faults=Counter({"SIGKILL worker": 3}),
    )


def test_a_good_campaign_is_told_in_figures(tmp_path: Path) -> None:
    report().write(tmp_path)
    told = (tmp_path / "report.md").read_text()
    assert "Nothing was lost." in told
    assert "| gateway | 3 | 2.00 s | 2.50 s | 3 s | met |" in told
    assert "7 races" in told
    assert "10,000 random schedules on the time-skipping server, 20.0 minutes." in told
    assert "dispatched 10" in told
    assert json.loads((tmp_path / "report.json").read_text())["ok"] is True
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


def test_a_failed_scenario_a_failed_phase_and_a_missed_target_are_all_told() -> None:
    bad = report()
    bad.results.append(Result("gateway y lose", "gateway failpoints", problem="Violated: two charges"))
    bad.problems.append("the race: Void")
    bad.recoveries[0].samples.append(9.0)
    told = bad.markdown()
    assert not bad.ok
    assert "2 FAILED" in told
    assert "**gateway y lose**: Violated: two charges" in told
    assert "- the race: Void" in told
    assert "missed" in told


async def test_schedules_that_fail_are_a_problem(tmp_path: Path) -> None:
    campaign = Campaign(7, tmp_path, print)
    await campaign.run_schedules(3, python=str(shutil.which("true")))
    assert campaign.report.ok
    await campaign.run_schedules(3, python=str(shutil.which("false")))
    assert campaign.report.problems == ["random schedules: seed 7, see above how to replay"]
