"""What every command shares: settings and addresses that are wrong, its help, and what it does not load."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from cli.main import COMMANDS

from .conftest import AUDIT, Scripted

Checkout = Callable[..., Result]


def test_wrong_settings_are_named(checkout: Checkout) -> None:
    result = checkout("audit", CHECKOUT_POSTGRES_PORT="many")
    assert result.exit_code == 4
    assert "CHECKOUT_POSTGRES_PORT" in result.stderr


def test_an_address_that_is_none_is_a_usage_error(checkout: Checkout) -> None:
    assert checkout("audit", "--url", "localhost:8082").exit_code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_s_help_teaches_with_an_example_and_its_exit_codes(checkout: Checkout, command: str) -> None:
    shown = " ".join(checkout(command, "--help").stdout.split())
    assert "Example" in shown
    assert f"checkout {command}" in shown
    assert "Exit codes" in shown
    assert "--json" in shown or command == "up"


def test_help_loads_nothing_that_is_slow_to_load() -> None:
    heavy = ("temporalio", "httpx", "asyncpg", "sqlalchemy", "fastapi", "stripe", "rich.progress", "bench.load")
    code = f"import sys, cli.main; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_command_that_talks_to_the_shop_never_loads_temporal(scripted: Scripted, tmp_path: Path) -> None:
    """Its runtime may abort a short-lived process at exit (sdk-python issue 300), and it is slow to load."""
    scripted.plan("GET", "/admin/audit", 200, AUDIT)
    code = f"""
import sys
from cli.main import app
app(["audit", "--json", "--url", "{scripted.url}"], standalone_mode=False)
print("temporalio" in sys.modules, file=sys.stderr)
"""
    env = {**os.environ, "CHECKOUT_DATA_DIR": str(tmp_path)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert (json.loads(result.stdout), result.stderr.strip()) == (AUDIT, "False")
