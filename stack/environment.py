"""The environment of every part: one function, so that no two processes can disagree about an address."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runtime.settings import DEVELOPMENT_STRIPE_KEY
from stack.config import StackConfig

_NOT_FOR_THE_PROVIDER = ("CHECKOUT_ADMIN_TOKEN", "CHECKOUT_PAYLOAD_", "TEMPORAL_")
# Parts with a database role of their own (`db.roles`), and the setting that tells the set-up of it.
ROLE_VARIABLES = {part: f"CHECKOUT_{part.upper()}_DATABASE_URL" for part in ("gateway", "worker", "payment")}
_PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Credentials:
    """What the parts share and nobody else may know."""

    database_url: str = field(repr=False)
    admin_token: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    role_urls: Mapping[str, str] = field(repr=False, default_factory=dict)
    """By part: how it logs in to the database. A part that is missing uses `database_url`, the owner's."""


def urls(config: StackConfig) -> dict[str, str]:
    """Where people and programs reach each part."""
    return {
        "gateway": config.public_url or f"http://localhost:{config.api_port}",
        "payment": config.stripe_api_base or f"http://localhost:{config.payment_port}",
        "temporal": config.base_env.get("TEMPORAL_ADDRESS") or f"127.0.0.1:{config.temporal_port}",
        "temporal_ui": config.base_env.get("CHECKOUT_TEMPORAL_UI_URL") or f"http://localhost:{config.temporal_ui_port}",
        "worker": f"http://127.0.0.1:{config.worker_port}",
    }


def python_environment(config: StackConfig, credentials: Credentials, part: str = "") -> dict[str, str]:
    """For the gateway, the worker, the payment service, the set-up, and whoever wants to talk to them.

    A part with a role of its own learns that role's address and no other; the set-up learns all, to make them.
    """
    env = {
        **{name: value for name, value in config.base_env.items() if name not in ROLE_VARIABLES.values()},
        "PYTHONUNBUFFERED": "1",
        "CHECKOUT_DATA_DIR": str(config.data_dir),
        "CHECKOUT_API_PORT": str(config.api_port),
        "CHECKOUT_WORKER_PORT": str(config.worker_port),
        "CHECKOUT_PAYMENT_PORT": str(config.payment_port),
        "CHECKOUT_TEMPORAL_PORT": str(config.temporal_port),
        "CHECKOUT_TEMPORAL_UI_PORT": str(config.temporal_ui_port),
        "CHECKOUT_POSTGRES_PORT": str(config.postgres_port),
        "CHECKOUT_ADMIN_TOKEN": credentials.admin_token,
        "DATABASE_URL": credentials.role_urls.get(part, credentials.database_url),
        "STRIPE_WEBHOOK_SECRET": credentials.webhook_secret,
        "STRIPE_SECRET_KEY": config.stripe_secret_key or DEVELOPMENT_STRIPE_KEY,
    }
    if part == "setup":
        env |= {ROLE_VARIABLES[role]: url for role, url in credentials.role_urls.items()}
    if (_PROJECT / "pyproject.toml").exists():  # a working copy: importable from every directory
        env["PYTHONPATH"] = _joined(str(_PROJECT), env.get("PYTHONPATH", ""))
    if config.stripe_api_base is not None:
        env["STRIPE_API_BASE"] = config.stripe_api_base
    elif config.uses_mock:
        env["STRIPE_API_BASE"] = f"http://127.0.0.1:{config.payment_port}"
    if config.uses_mock:
        env["PAYMENT_PUBLIC_URL"] = f"http://localhost:{config.payment_port}"
        env["PAYMENT_WEBHOOK_URL"] = f"http://127.0.0.1:{config.api_port}/payment_webhook"
        # On one machine everything is back within seconds: an event need not wait half a minute for its next attempt.
        env["PAYMENT_WEBHOOK_RETRY_CAP"] = "5"
    if not config.own_temporal:
        # The user's own default profile (a file in the home directory) is not about this server.
        env["TEMPORAL_CONFIG_FILE"] = "/dev/null"
        env["TEMPORAL_ADDRESS"] = f"127.0.0.1:{config.temporal_port}"
        env["TEMPORAL_NAMESPACE"] = "default"
    return {**env, **config.extra_env}


def payment_environment(config: StackConfig, credentials: Credentials) -> dict[str, str]:
    """For the payment service: what a third party knows. No operator token, no Temporal."""
    env = python_environment(config, credentials, "payment")
    return {name: value for name, value in env.items() if not name.startswith(_NOT_FOR_THE_PROVIDER)}


def server_environment(config: StackConfig) -> dict[str, str]:
    """For PostgreSQL and Temporal: no secrets of ours, no setting of libpq's or Temporal's by accident."""
    ours = ("PG", "TEMPORAL_", "CHECKOUT_", "STRIPE_", "PAYMENT_", "DATABASE_URL", "PYTHON")
    env: Mapping[str, str] = config.base_env
    return {name: value for name, value in env.items() if not name.startswith(ours)}


def _joined(first: str, rest: str) -> str:
    return f"{first}:{rest}" if rest else first
