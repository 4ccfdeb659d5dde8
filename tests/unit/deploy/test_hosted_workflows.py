"""The workflow files of the public host: they parse, run only what the Makefile has, and may do no more than that."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> dict[Any, Any]:
    return dict(yaml.safe_load(request.param.read_text()))


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_there_is_one_for_the_tests_and_one_for_the_containers() -> None:
    assert {path.stem for path in FILES} >= {"test", "containers"}


def test_it_runs_make_targets_that_exist_and_nothing_else(workflow: dict[Any, Any]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    assert commands
    for command in commands:
        found = re.fullmatch(r'make ([a-z-]+)( [A-Z]+=("[^"]*"|\S+))*', command)
        assert found, command
        assert found[1] in targets, command


def test_every_action_is_pinned_to_a_commit_and_says_which_version_that_is() -> None:
    for path in FILES:
        for line in path.read_text().splitlines():
            if "uses:" in line:
                assert re.search(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_it_may_read_the_repository_and_nothing_more(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in workflow["jobs"].values())
    checkouts = [step for step in steps(workflow) if "actions/checkout@" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_a_run_cannot_last_for_ever(workflow: dict[Any, Any]) -> None:
    assert all(job["timeout-minutes"] <= 90 for job in workflow["jobs"].values())


def test_the_tests_run_on_every_python_that_the_project_allows() -> None:
    file = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    versions = file["jobs"]["test"]["strategy"]["matrix"]["python"]
    lowest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert versions[0] == lowest
    assert versions == [f"3.{minor}" for minor in range(int(lowest.split(".")[1]), 15)]


def test_what_is_cached_is_named_by_a_lock_that_exists(workflow: dict[Any, Any]) -> None:
    for step in steps(workflow):
        if lock := step.get("with", {}).get("cache-dependency-path"):
            assert (ROOT / lock).exists(), lock
