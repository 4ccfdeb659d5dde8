"""What a stack consists of and where: one frozen object, made from the settings or for a test."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runtime.settings import DEVELOPMENT_STRIPE_KEY, Settings
from stack.errors import StackError
from stack.part import Part
from stack.ports import free_ports

PORTS: Mapping[str, tuple[str, ...]] = {
    "postgres": ("postgres_port",),
    "temporal": ("temporal_port", "temporal_ui_port"),
    "setup": (),
    "payment": ("payment_port",),
    "worker": ("worker_port",),
    "gateway": ("api_port",),
}
"""All parts, and the fields of their ports, named as in `Settings`. `setup` is the task that migrates and seeds."""
PARTS = tuple(PORTS)
PORT_FIELDS = tuple(name for names in PORTS.values() for name in names)

# Parts with a database role of their own (`db.roles`), and the setting that tells the set-up of it.
ROLE_VARIABLES = {part: f"CHECKOUT_{part.upper()}_DATABASE_URL" for part in ("gateway", "worker", "payment")}
# Any of them means: a Temporal of the user's own. Read by temporalio.envconfig in the worker and the gateway.
_OWN_TEMPORAL = ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE", "TEMPORAL_API_KEY")
# What a test must not take over from whoever runs it.
_OURS = ("CHECKOUT_", "STRIPE_", "TEMPORAL_", "PAYMENT_", "DATABASE_URL", "PG")


def _port(name: str) -> Any:
    return field(default=Settings.model_fields[name].default)


def _unchanged(part: Part) -> Part:
    return part


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """A stack. An address of one's own is used instead of the part that would serve it."""

    data_dir: Path = Path("var")
    parts: tuple[str, ...] = PARTS
    api_port: int = _port("api_port")
    worker_port: int = _port("worker_port")
    payment_port: int = _port("payment_port")
    temporal_port: int = _port("temporal_port")
    temporal_ui_port: int = _port("temporal_ui_port")
    postgres_port: int = _port("postgres_port")
    database_url: str | None = field(default=None, repr=False)
    """A PostgreSQL of one's own: no embedded one."""
    role_urls: Mapping[str, str] = field(repr=False, default_factory=dict)
    """By part: a database role of one's own for it. Made by the set-up, used by the part."""
    own_temporal: bool = False
    """A Temporal of one's own, described by `TEMPORAL_*` in `base_env`: no development server."""
    temporal_ui_url: str | None = None
    stripe_api_base: str | None = None
    stripe_secret_key: str | None = field(default=None, repr=False)
    """A key of Stripe's, or of something that speaks like it: no mock, unless the base is the mock's."""
    webhook_secret: str | None = field(default=None, repr=False)
    """None: made up, and kept in the data directory. Likewise the operator token."""
    admin_token: str | None = field(default=None, repr=False)
    public_url: str | None = None
    """Where customers reach the gateway, if not on its port."""
    encrypts: bool = False
    """Whether what Temporal stores is encrypted, so that its web UI has to have it decoded."""
    base_env: Mapping[str, str] = field(repr=False, default_factory=lambda: dict(os.environ))
    """The environment to begin with."""
    extra_env: Mapping[str, str] = field(repr=False, default_factory=dict)
    """Set last, for every Python part: `{"CHECKOUT_PAYMENT_TIMEOUT": "2"}`."""
    adapt: Callable[[Part], Part] = field(repr=False, default=_unchanged)
    """Has the last word on each part: a test puts a proxy between two of them here."""
    cwd: Path | None = None
    fsync: bool = True
    """False: PostgreSQL may lose data in a power cut. Killing processes loses nothing either way."""

    @classmethod
    def from_settings(cls, settings: Settings, environ: Mapping[str, str] | None = None) -> "StackConfig":
        """The stack of `checkout up`: what the user set (environment, `.env`) is used, the rest embedded."""
        environ = dict(os.environ if environ is None else environ)

        def secret(name: str) -> str | None:
            return getattr(settings, name).get_secret_value() if name in settings.model_fields_set else None

        hooks = [one.get_secret_value() for one in settings.stripe_webhook_secrets]
        return cls(
            data_dir=settings.data_dir,
            database_url=secret("database_url"),
            role_urls={part: url for part in ROLE_VARIABLES if (url := secret(f"{part}_database_url"))},
            own_temporal=any(environ.get(name, "").strip() for name in _OWN_TEMPORAL),
            temporal_ui_url=settings.temporal_ui_url_setting,
            stripe_api_base=settings.stripe_api_base_setting,
            stripe_secret_key=secret("stripe_secret_key"),
            webhook_secret=",".join(hooks) if "stripe_webhook_secrets" in settings.model_fields_set else None,
            admin_token=secret("admin_token"),
            public_url=settings.public_url_setting,
            encrypts=bool(settings.payload_keys),
            base_env=environ,
            **{name: getattr(settings, name) for name in PORT_FIELDS},
        )

    @classmethod
    def for_tests(cls, data_dir: Path, **changes: Any) -> "StackConfig":
        """A stack of its own: free ports, nothing taken over from the caller's settings or `.env`.

        As root, `data_dir` had better be reachable for other users (`tests.support.stacks.data_dir` makes one).
        """
        ports: dict[str, Any] = dict(zip(PORT_FIELDS, free_ports(len(PORT_FIELDS)), strict=True))
        clean = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return replace(cls(data_dir=data_dir, base_env=clean, cwd=data_dir, fsync=False, **ports), **changes)

    def __post_init__(self) -> None:
        unknown = [name for name in self.parts if name not in PARTS]
        if unknown:
            raise StackError(f"There is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}.")
        object.__setattr__(self, "data_dir", self.data_dir.absolute())

    def ports(self, parts: Iterable[str] = PARTS) -> dict[str, int]:
        """Those of the parts, whether they run here or not, by the setting of each: `{"CHECKOUT_API_PORT": 8082}`."""
        return {f"CHECKOUT_{name.upper()}": getattr(self, name) for part in parts for name in PORTS[part]}

    @property
    def uses_mock(self) -> bool:
        """Whether the payment service is ours. A key of one's own, or another address, means it is not."""
        if self.stripe_api_base is not None:
            address = urlsplit(self.stripe_api_base)
            return address.port == self.payment_port and address.hostname in ("127.0.0.1", "localhost")
        return self.stripe_secret_key in (None, DEVELOPMENT_STRIPE_KEY)

    @property
    def running(self) -> tuple[str, ...]:
        """The parts that this stack runs itself, in the order of their start."""
        replaced = {
            "postgres": self.database_url is not None,
            "temporal": self.own_temporal,
            "payment": not self.uses_mock,
        }
        return tuple(name for name in PARTS if name in self.parts and not replaced.get(name, False))
