"""The dependency audit fails on findings, and says so when there was nobody to ask."""

import json
import re
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from tests.security.audit_dependencies import LOCKS, PROJECT, Run, distinct, main


def answering(report: Any = None, stderr: str = "", error: Exception | None = None) -> Run:
    def run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        if error is not None:
            raise error
        return subprocess.CompletedProcess(command, 0, "" if report is None else json.dumps(report), stderr)

    return run


CLEAN = {"name": "httpx", "version": "0.28.1", "vulns": []}
BAD = {"name": "old", "version": "1", "vulns": [{"id": "GHSA-x", "fix_versions": ["1.1"], "aliases": []}]}
UNKNOWN = {"name": "new", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("run", "code", "says"),
    [
        (answering({"dependencies": [CLEAN]}), 0, "1 packages, no known vulnerability"),
        (answering({"dependencies": [CLEAN, BAD]}), 1, "old 1: GHSA-x, fixed in 1.1"),
        (answering({"dependencies": [BAD, UNKNOWN]}), 1, "FINDINGS"),
        (answering({"dependencies": [CLEAN, UNKNOWN]}), 0, "NOT AUDITED: 1 of 2"),
        (answering(stderr="requests.ConnectionError: no route"), 0, "NOT AUDITED, the advisory database"),
        (answering(stderr="ERROR: requirement 'x' does not contain a hash"), 1, "FINDINGS"),
        (answering(error=subprocess.TimeoutExpired("pip-audit", 1)), 0, "NOT AUDITED"),
    ],
)
def test_it_fails_on_findings_only_and_hides_nothing(
    capsys: pytest.CaptureFixture[str], run: Run, code: int, says: str
) -> None:
    assert main([], run) == code
    assert says in capsys.readouterr().out


def test_everything_that_runs_is_pinned_by_hash_and_from_no_fixed_address() -> None:
    for lock in LOCKS:
        text = (PROJECT / lock).read_text()
        pins = re.findall(r"^[A-Za-z0-9_.\[\]-]+==\S+", text, re.MULTILINE)
        entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
        assert pins, lock
        assert all("--hash=sha256:" in entry for entry in entries if "==" in entry), lock
        assert "http://" not in text
        assert "--index-url" not in text
        assert "--trusted-host" not in text


def test_every_pinned_package_is_asked_about() -> None:
    def pins(locks: Sequence[str]) -> set[str]:
        return {pin for lock in locks for pin in re.findall(r"^\S+==\S+", (PROJECT / lock).read_text(), re.MULTILINE)}

    assert pins(distinct(LOCKS)) == pins(LOCKS)
