"""What a stack consists of, where its parts are, and what each of its processes is told. What a shell happens to export
is meant for its user's own servers: neither ours hear of it, nor whoever talks to them (docs/decisions/0024)."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic_settings import PydanticBaseSettingsSource, SettingsConfigDict

from runtime.settings import Settings
from stack.errors import StackError
from stack.part import Part
from stack.probes import free_ports

PORTS: Mapping[str, tuple[str, ...]] = {
    "postgres": ("postgres_port",),
    "temporal": ("temporal_port", "temporal_ui_port"),
    "setup": (),
    "payment": ("payment_port",),
    "worker": ("worker_port",),
    "gateway": ("api_port",),
}
"""All parts, and the fields of their ports in `Settings`. `setup` is the task that migrates and seeds."""
PARTS = tuple(PORTS)
PORT_FIELDS = tuple(name for names in PORTS.values() for name in names)

# Parts with a database role of their own (`db.roles`), and the setting that tells the set-up of it.
ROLE_VARIABLES = {part: f"CHECKOUT_{part.upper()}_DATABASE_URL" for part in ("gateway", "worker", "payment")}
# Any of them means: a Temporal of the user's own. Read by temporalio.envconfig in the worker and the gateway.
_OWN_TEMPORAL = ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE", "TEMPORAL_API_KEY")
_NOT_FOR_SERVERS = ("CHECKOUT_", "STRIPE_", "PAYMENT_", "DATABASE_URL", "PG", "TEMPORAL_")
_NOT_FOR_THE_PROVIDER = ("CHECKOUT_ADMIN_TOKEN", "CHECKOUT_PAYLOAD_", "TEMPORAL_")
# Where Python finds and keeps its files is the user's business; all its other variables would change what it does:
# `PYTHONOPTIMIZE` takes assertions away, `PYTHONIOENCODING` makes logs unreadable.
_OF_PYTHON = frozenset(
    {"PYTHONHOME", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE"}
)
_PROJECT = Path(__file__).resolve().parents[1]


class _Given(Settings):
    """Of what is given alone, by its field: neither the environment nor `.env` is read."""

    model_config = SettingsConfigDict(populate_by_name=True)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: Any, init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """A stack. A server of the user's own, named by its setting, is used instead of the part that would serve it."""

    settings: Settings
    parts: tuple[str, ...] = PARTS
    base_env: Mapping[str, str] = field(repr=False, default_factory=lambda: dict(os.environ))
    """The environment to begin with; its `TEMPORAL_*` may describe a Temporal of the user's own."""
    extra_env: Mapping[str, str] = field(repr=False, default_factory=dict)
    """Set last, for every Python part: `{"CHECKOUT_PAYMENT_TIMEOUT": "2"}`."""
    adapt: Callable[[Part], Part] = field(repr=False, default=lambda part: part)
    """Has the last word on each part: a test puts a proxy between two of them here."""
    cwd: Path | None = None
    fsync: bool = True
    """False: PostgreSQL may lose data in a power cut. Killing processes loses nothing either way."""

    @classmethod
    def for_tests(cls, data_dir: Path, **changes: Any) -> "StackConfig":
        """A stack of its own: free ports, nothing taken over from the caller's settings or `.env`. `changes` are fields
        of this class and of `Settings`. As root, `data_dir` had better be reachable for other users."""
        ports = zip(PORT_FIELDS, free_ports(len(PORT_FIELDS)), strict=True)
        given = {name: changes.pop(name) for name in Settings.model_fields if name in changes}
        clean = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_FOR_SERVERS)}
        ours = {"base_env": clean, "cwd": data_dir, "fsync": False, **changes}
        return cls(settings=_Given(**{"data_dir": data_dir, **dict(ports), **given}), **ours)

    def __post_init__(self) -> None:
        unknown = [name for name in self.parts if name not in PARTS]
        if unknown:
            raise StackError(f"There is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}.")

    @property
    def data_dir(self) -> Path:
        return self.settings.data_dir.absolute()

    def ports(self, parts: Iterable[str] = PARTS) -> dict[str, int]:
        """Those of the parts, whether they run here or not, by the setting of each: `{"CHECKOUT_API_PORT": 8082}`."""
        return {f"CHECKOUT_{name.upper()}": getattr(self.settings, name) for part in parts for name in PORTS[part]}

    def own(self, secret: str) -> str | None:
        """A secret that the user has set, by its field in `Settings`; None: there is one of ours in its place."""
        if secret not in self.settings.model_fields_set:
            return None
        value = getattr(self.settings, secret)
        return ",".join(one.get_secret_value() for one in (value if isinstance(value, tuple) else (value,)))

    @property
    def own_temporal(self) -> bool:
        return any(self.base_env.get(name, "").strip() for name in _OWN_TEMPORAL)

    @property
    def uses_mock(self) -> bool:
        """Whether the payment service is ours. A key of one's own, or another address, means it is not."""
        address = urlsplit(self.settings.stripe_api_base or "")
        return address.port == self.settings.payment_port and address.hostname in ("127.0.0.1", "localhost")

    @property
    def running(self) -> tuple[str, ...]:
        """The parts that this stack runs itself, in the order of their start."""
        has_ours = {
            "postgres": self.own("database_url") is None,
            "temporal": not self.own_temporal,
            "payment": self.uses_mock,
        }
        return tuple(name for name in PARTS if name in self.parts and has_ours.get(name, True))

    @property
    def urls(self) -> dict[str, str]:
        """Where people and programs reach each part: `gateway`, `payment`, `temporal` (host:port), `temporal_ui`,
        `worker`."""
        known = self.settings
        return {
            "gateway": known.public_url,
            "payment": known.stripe_api_base_setting or f"http://localhost:{known.payment_port}",
            "temporal": self.base_env.get("TEMPORAL_ADDRESS") or f"127.0.0.1:{known.temporal_port}",
            "temporal_ui": known.temporal_ui_url,
            "worker": f"http://127.0.0.1:{known.worker_port}",
        }


@dataclass(frozen=True, repr=False)
class Credentials:
    """What the parts share and nobody else may know."""

    database_url: str
    admin_token: str
    webhook_secret: str
    role_urls: Mapping[str, str] = field(default_factory=dict)
    """By part: how it logs in to the database. A part that is missing uses `database_url`, the owner's."""


def python_environment(config: StackConfig, credentials: Credentials, part: str = "") -> dict[str, str]:
    """For every Python part, and whoever wants to talk to them: no two can disagree about an address. A part with a
    database role of its own learns that role's address and no other; the set-up learns all, to make them."""
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
    """For PostgreSQL and Temporal: no secrets of ours, no setting of libpq's or Temporal's by accident."""
    return _without(config.base_env, _NOT_FOR_SERVERS)


def forget_libpq(config: StackConfig) -> None:
    """For this process, if it is to talk to the embedded PostgreSQL: asyncpg reads what libpq reads."""
    if config.own("database_url") is None:
        for name in [name for name in os.environ if name.startswith("PG")]:
            del os.environ[name]


def _without(env: Mapping[str, str], prefixes: tuple[str, ...]) -> dict[str, str]:
    return {
        name: value
        for name, value in env.items()
        if not name.startswith(prefixes) and (name in _OF_PYTHON or not name.startswith("PYTHON"))
    }
