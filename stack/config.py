"""What a stack consists of and where: one frozen object, made from the settings or for a test."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runtime.settings import DEVELOPMENT_STRIPE_KEY, Settings
from stack.errors import StackError
from stack.part import Part
from stack.ports import free_ports

PARTS = ("postgres", "temporal", "setup", "payment", "worker", "gateway")
"""All parts. `setup` is the task that migrates and seeds the database."""

# Any of them means: a Temporal of the user's own. Read by temporalio.envconfig in the worker and the gateway.
_OWN_TEMPORAL = ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE", "TEMPORAL_API_KEY")
# What a test must not take over from whoever runs it.
_OURS = ("CHECKOUT_", "STRIPE_", "TEMPORAL_", "PAYMENT_", "DATABASE_URL")


def _unchanged(part: Part) -> Part:
    return part


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """A stack. An address of one's own is used instead of the part that would serve it."""

    data_dir: Path = Path("var")
    parts: tuple[str, ...] = PARTS
    api_port: int = 8082
    worker_port: int = 8083
    payment_port: int = 8086
    temporal_port: int = 7233
    temporal_ui_port: int = 8233
    postgres_port: int = 5433
    database_url: str | None = field(default=None, repr=False)
    """A PostgreSQL of one's own: no embedded one."""
    own_temporal: bool = False
    """A Temporal of one's own, described by `TEMPORAL_*` in `base_env`: no development server."""
    stripe_api_base: str | None = None
    stripe_secret_key: str | None = field(default=None, repr=False)
    """A key of Stripe's, or of something that speaks like it: no mock, unless the base is the mock's."""
    webhook_secret: str | None = field(default=None, repr=False)
    """None: made up, and kept in the data directory. Likewise the operator token."""
    admin_token: str | None = field(default=None, repr=False)
    public_url: str | None = None
    """Where customers reach the gateway, if not on its port."""
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
        given = settings.model_fields_set

        def secret(name: str) -> str | None:
            return getattr(settings, name).get_secret_value() if name in given else None

        # From `.env` too: the set-up makes these roles, and each part is to use its own.
        roles = {
            f"CHECKOUT_{part.upper()}_DATABASE_URL": address.get_secret_value()
            for part in ("gateway", "worker", "payment")
            if (address := getattr(settings, f"{part}_database_url")) is not None
        }
        hooks = [one.get_secret_value() for one in settings.stripe_webhook_secrets]
        return cls(
            data_dir=settings.data_dir,
            api_port=settings.api_port,
            worker_port=getattr(settings, "worker_port", 8083),
            payment_port=settings.payment_port,
            temporal_port=settings.temporal_port,
            temporal_ui_port=settings.temporal_ui_port,
            postgres_port=settings.postgres_port,
            database_url=secret("database_url"),
            own_temporal=any(environ.get(name) for name in _OWN_TEMPORAL),
            stripe_api_base=settings.stripe_api_base_setting,
            stripe_secret_key=secret("stripe_secret_key"),
            webhook_secret=",".join(hooks) if "stripe_webhook_secrets" in given else None,
            admin_token=secret("admin_token"),
            public_url=settings.public_url_setting,
            base_env={**environ, **roles},
        )

    @classmethod
    def for_tests(cls, data_dir: Path, **changes: Any) -> "StackConfig":
        """A stack of its own: free ports, nothing taken over from the caller's settings or `.env`.

        As root, `data_dir` had better be reachable for other users (`stack.testing.data_dir` makes one).
        """
        names = (
            "api_port",
            "worker_port",
            "payment_port",
            "temporal_port",
            "temporal_ui_port",
            "postgres_port",
        )
        ports: dict[str, Any] = dict(zip(names, free_ports(len(names)), strict=True))
        clean = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return replace(cls(data_dir=data_dir, base_env=clean, cwd=data_dir, fsync=False, **ports), **changes)

    def __post_init__(self) -> None:
        unknown = [name for name in self.parts if name not in PARTS]
        if unknown:
            raise StackError(f"There is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}.")
        object.__setattr__(self, "data_dir", self.data_dir.absolute())

    @property
    def ports(self) -> tuple[int, ...]:
        """Those of its servers and parts, whether they run here or not."""
        return (
            self.api_port,
            self.worker_port,
            self.payment_port,
            self.temporal_port,
            self.temporal_ui_port,
            self.postgres_port,
        )

    @property
    def encrypts(self) -> bool:
        """Whether what Temporal stores is encrypted (a key in `.env` alone is found by the parts, not here)."""
        return bool({**self.base_env, **self.extra_env}.get("CHECKOUT_PAYLOAD_KEYS"))

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
