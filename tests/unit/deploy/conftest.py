"""The compose file as compose reads it: parsed, and with `${VAR:-default}` and `${VAR:?message}` filled."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
# The innermost variable: `${NAME}`, `${NAME:-default}` or `${NAME:?message}`, a default may hold another one.
VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::(?P<kind>[-?])(?P<rest>[^{}]*))?\}")

# What a person must put into `.env`; everything else has a default.
REQUIRED = {
    "POSTGRES_PASSWORD": "postgres-password",
    "SHOP_DB_PASSWORD": "shop-password",
    "GATEWAY_DB_PASSWORD": "gateway-password",
    "WORKER_DB_PASSWORD": "worker-password",
    "PAYMENT_DB_PASSWORD": "payment-password",
    "TEMPORAL_DB_PASSWORD": "temporal-password",
    "CHECKOUT_ADMIN_TOKEN": "an-operator-token-of-our-own",
    "CHECKOUT_PAYLOAD_KEYS": "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
}


def interpolate(node: Any, values: dict[str, str]) -> Any:
    """Compose's interpolation, the two forms we use. A missing required variable raises KeyError."""
    if isinstance(node, dict):
        return {key: interpolate(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolate(value, values) for value in node]
    if not isinstance(node, str):
        return node

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        return values[name] if values.get(name) or match["kind"] != "-" else match["rest"]

    while (filled := VARIABLE.sub(fill, node)) != node:
        node = filled
    return node


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def source() -> str:
    return (ROOT / "docker-compose.yml").read_text()


@pytest.fixture(scope="session")
def raw(source: str) -> dict[str, Any]:
    """As written, variables still in it."""
    return dict(yaml.safe_load(source))


@pytest.fixture(scope="session")
def render(raw: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """`render(NAME="value")`: the file as compose runs it with the required values and these."""
    return lambda **values: dict(interpolate(raw, REQUIRED | values))


@pytest.fixture(scope="session")
def compose(render: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """As compose runs it with the required values and every default."""
    return render()


@pytest.fixture(scope="session")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(compose["services"])


@pytest.fixture(scope="session")
def ours(services: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The services that run our own image."""
    return {name: service for name, service in services.items() if "build" in service}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have settings of their own; they are not what is tested."""
    for name in list(os.environ):
        if name.startswith(("CHECKOUT_", "STRIPE_", "PAYMENT_", "TEMPORAL_", "DATABASE_URL")):
            monkeypatch.delenv(name)
