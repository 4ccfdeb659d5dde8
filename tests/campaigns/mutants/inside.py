"""A pytest plugin for runs inside the copy: proves that the copy is what is tested, writes down what failed, and lends
them the PostgreSQL server that the copy keeps running, with a template migrated by the sources as they now are."""

import asyncio
import importlib
import json
import os
from pathlib import Path
from typing import Any

import asyncpg
import pytest

PACKAGES = ("checkout", "runtime", "db", "worker", "api", "payment_mock", "stack", "cli", "tests")
REPORT = "CHECKOUT_MUTANT_REPORT"
SERVER = "CHECKOUT_MUTANT_POSTGRES"


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

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Any:
        """In the place of `tests.conftest.database_server`, which would start a server a run."""
        if fixturedef.argname != "database_server" or SERVER not in os.environ:
            return None
        loop = asyncio.new_event_loop()
        try:
            server = loop.run_until_complete(_prepared(os.environ[SERVER]))
        finally:
            loop.close()
        fixturedef.cached_result = (server, fixturedef.cache_key(request), None)  # type: ignore[arg-type] # a SubRequest
        return server

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


async def _prepared(url: str) -> Any:
    from tests.support.databases import DatabaseServer

    connection = await asyncpg.connect(url)
    try:
        left = await connection.fetch("SELECT datname FROM pg_database WHERE datname ~ '^(shop_template|test_)'")
        for row in left:
            await connection.execute(f"DROP DATABASE {row['datname']} WITH (FORCE)")
    finally:
        await connection.close()
    server = DatabaseServer(url)
    await server.prepare()
    return server


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Inside(Path.cwd().resolve()), "checkout-mutants-inside")
