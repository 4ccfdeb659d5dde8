"""What each process of a stack is told. What a shell happens to export is meant for its user's own servers: neither
ours hear of it, nor whoever talks to them (docs/decisions/0024)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack.config import NOT_FOR_SERVERS, StackConfig
from stack.parts import PARTS

# Parts with a database role of their own (`db.roles`), and the setting that tells the set-up of it.
ROLE_VARIABLES = {part: f"CHECKOUT_{part.upper()}_DATABASE_URL" for part, kind in PARTS.items() if kind.has_role}
_NOT_FOR_THE_PROVIDER = ("CHECKOUT_ADMIN_TOKEN", "CHECKOUT_PAYLOAD_", "TEMPORAL_")
# Where Python finds and keeps its files is the user's business; all its other variables would change what it does:
# `PYTHONOPTIMIZE` takes assertions away, `PYTHONIOENCODING` makes logs unreadable.
_OF_PYTHON = frozenset(
    {"PYTHONHOME", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE"}
)
_PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, repr=False)
class Credentials:
    """What the parts share and nobody else may know."""

    database_url: str
    admin_token: str
    webhook_secret: str
    role_urls: Mapping[str, str] = field(default_factory=dict)
    """By part: how it logs in to the database. A part that is missing uses `database_url`, the owner's."""


def python_environment(config: StackConfig, credentials: Credentials, part: str = "") -> dict[str, str]:
    """The environment of a Python part, or of a command that talks to them: all of them get the same addresses. A
    part with a database role of its own learns that role's address and no other; the set-up learns all, to make
    the roles."""
    known = config.settings
    unheard = [*ROLE_VARIABLES.values(), *(() if config.own("database_url") else ("PG",))]
    unheard += () if config.own_temporal else ("TEMPORAL_",)
    env = {
        **_without(config.base_env, tuple(unheard)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "CHECKOUT_DATA_DIR": str(config.data_dir),
        **{setting: str(port) for setting, port in config.ports().items()},
        "CHECKOUT_ADMIN_TOKEN": credentials.admin_token,
        "DATABASE_URL": credentials.role_urls.get(part, credentials.database_url),
        "STRIPE_WEBHOOK_SECRET": credentials.webhook_secret,
        "STRIPE_SECRET_KEY": known.stripe_secret_key.get_secret_value(),
    }
    if part == "setup":
        env |= {ROLE_VARIABLES[role]: url for role, url in credentials.role_urls.items()}
    if (_PROJECT / "pyproject.toml").exists():  # a working copy: importable from every directory
        env["PYTHONPATH"] = ":".join(filter(None, (str(_PROJECT), env.get("PYTHONPATH"))))
    if known.stripe_api_base is not None:
        env["STRIPE_API_BASE"] = known.stripe_api_base
    if config.uses_mock:
        env["PAYMENT_PUBLIC_URL"] = f"http://localhost:{known.payment_port}"
        env["PAYMENT_WEBHOOK_URL"] = f"http://127.0.0.1:{known.api_port}/payment_webhook"
        # On one machine everything is back within seconds: an event need not wait half a minute for its next attempt.
        env["PAYMENT_WEBHOOK_RETRY_CAP"] = "5"
    if not config.own_temporal:
        # The user's own default profile (a file in the home directory) is not about this server.
        env["TEMPORAL_CONFIG_FILE"] = "/dev/null"
        env["TEMPORAL_ADDRESS"] = f"127.0.0.1:{known.temporal_port}"
        env["TEMPORAL_NAMESPACE"] = "default"
    env |= config.extra_env
    if part == "payment":  # what a third party knows: no operator token, no Temporal
        return {name: value for name, value in env.items() if not name.startswith(_NOT_FOR_THE_PROVIDER)}
    return env


def server_environment(config: StackConfig) -> dict[str, str]:
    """The environment of PostgreSQL and Temporal: none of our secrets, and nothing that libpq or Temporal would
    read."""
    return _without(config.base_env, NOT_FOR_SERVERS)


def forget_libpq(config: StackConfig) -> None:
    """Takes libpq's variables (`PG…`) out of this process, if it is to talk to the embedded PostgreSQL: asyncpg
    reads them."""
    if config.own("database_url") is None:
        for name in [name for name in os.environ if name.startswith("PG")]:
            del os.environ[name]


def _without(env: Mapping[str, str], prefixes: tuple[str, ...]) -> dict[str, str]:
    return {
        name: value
        for name, value in env.items()
        if not name.startswith(prefixes) and (name in _OF_PYTHON or not name.startswith("PYTHON"))
    }
