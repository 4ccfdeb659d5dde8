"""The environment of every part: one function, so that no two processes can disagree about an address.

What a shell happens to export is meant for its user's own servers. So no server of ours hears of it, and no process
that talks to one: libpq's `PG*` with the embedded PostgreSQL, `TEMPORAL_*` with the development server, and what would
change how Python itself works (`PYTHONOPTIMIZE` takes assertions away, `PYTHONIOENCODING` makes logs unreadable).
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from runtime.settings import DEVELOPMENT_STRIPE_KEY
from stack.config import ROLE_VARIABLES, StackConfig

_NOT_FOR_THE_PROVIDER = ("CHECKOUT_ADMIN_TOKEN", "CHECKOUT_PAYLOAD_", "TEMPORAL_")
_NOT_FOR_SERVERS = ("CHECKOUT_", "STRIPE_", "PAYMENT_", "DATABASE_URL", "PG", "TEMPORAL_")
# Where Python finds and keeps its files is the user's business; all its other variables would change what it does.
_OF_PYTHON = frozenset(
    {"PYTHONHOME", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE"}
)
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
        "temporal_ui": config.temporal_ui_url or f"http://localhost:{config.temporal_ui_port}",
        "worker": f"http://127.0.0.1:{config.worker_port}",
    }


def python_environment(config: StackConfig, credentials: Credentials, part: str = "") -> dict[str, str]:
    """For the gateway, the worker, the payment service, the set-up, and whoever wants to talk to them.

    A part with a role of its own learns that role's address and no other; the set-up learns all, to make them.
    """
    unheard = [*ROLE_VARIABLES.values(), *(() if config.database_url else ("PG",))]
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
        "STRIPE_SECRET_KEY": config.stripe_secret_key or DEVELOPMENT_STRIPE_KEY,
    }
    if part == "setup":
        env |= {ROLE_VARIABLES[role]: url for role, url in credentials.role_urls.items()}
    if (_PROJECT / "pyproject.toml").exists():  # a working copy: importable from every directory
        env["PYTHONPATH"] = ":".join(filter(None, (str(_PROJECT), env.get("PYTHONPATH"))))
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
    env |= config.extra_env
    if part == "payment":  # what a third party knows: no operator token, no Temporal
        return {name: value for name, value in env.items() if not name.startswith(_NOT_FOR_THE_PROVIDER)}
    return env


def server_environment(config: StackConfig) -> dict[str, str]:
    """For PostgreSQL and Temporal: no secrets of ours, no setting of libpq's or Temporal's by accident."""
    return _without(config.base_env, _NOT_FOR_SERVERS)


def forget_libpq(environ: MutableMapping[str, str]) -> None:
    """For a process of ours that is about to talk to the embedded PostgreSQL: asyncpg reads what libpq reads."""
    for name in [name for name in environ if name.startswith("PG")]:
        del environ[name]


def _without(env: Mapping[str, str], prefixes: tuple[str, ...]) -> dict[str, str]:
    return {
        name: value
        for name, value in env.items()
        if not name.startswith(prefixes) and (name in _OF_PYTHON or not name.startswith("PYTHON"))
    }
