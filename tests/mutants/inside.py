"""A pytest plugin for runs inside the copy: proves that the copy is what is tested, and writes down what failed."""

import importlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

PACKAGES = ("checkout", "db", "worker", "api", "payment_mock", "stack", "tests")
REPORT = "CHECKOUT_MUTANT_REPORT"


class Inside:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._failures: list[dict[str, Any]] = []
        self._passed = 0

    def pytest_sessionstart(self) -> None:
        for name in PACKAGES:
            file = Path(str(importlib.import_module(name).__file__)).resolve()
            if not file.is_relative_to(self._root):
                raise pytest.UsageError(f"{name} is imported from {file}, not from the copy in {self._root}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            message = str(crash.message if crash else report.longrepr).strip().splitlines()
            self._failures.append({"test": report.nodeid, "when": report.when, "why": message[0] if message else ""})
        elif report.when == "call" and report.passed:
            self._passed += 1

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        told = {"status": int(exitstatus), "passed": self._passed, "failures": self._failures}
        Path(os.environ[REPORT]).write_text(json.dumps(told))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Inside(Path.cwd().resolve()), "checkout-mutants-inside")
