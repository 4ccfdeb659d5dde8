"""A stack: which of the parts it runs, at which ports, and which servers of the user's own it uses instead."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic_settings import PydanticBaseSettingsSource, SettingsConfigDict

from runtime.settings import Settings
from stack.errors import StackError
from stack.parts import PARTS, PORT_FIELDS, Part
from stack.probes import free_ports

# Any of them means: a Temporal of the user's own. Read by temporalio.envconfig in the worker and the gateway.
_OWN_TEMPORAL = ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE", "TEMPORAL_API_KEY")
NOT_FOR_SERVERS = ("CHECKOUT_", "STRIPE_", "PAYMENT_", "DATABASE_URL", "PG", "TEMPORAL_")
"""What a shell exports under these names is not for servers of ours."""


class _Given(Settings):
    """Settings of its arguments alone, by the names of the fields: neither the environment nor `.env` is read."""

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
    parts: tuple[str, ...] = tuple(PARTS)
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
        """A stack of its own: free ports, nothing taken over from the caller's settings or `.env`. `changes` are
        fields of this class and of `Settings`. As root, let other users reach `data_dir`: PostgreSQL runs as one."""
        ports = zip(PORT_FIELDS, free_ports(len(PORT_FIELDS)), strict=True)
        given = {name: changes.pop(name) for name in Settings.model_fields if name in changes}
        clean = {name: value for name, value in os.environ.items() if not name.startswith(NOT_FOR_SERVERS)}
        ours = {"base_env": clean, "cwd": data_dir, "fsync": False, **changes}
        return cls(settings=_Given(**{"data_dir": data_dir, **dict(ports), **given}), **ours)

    def __post_init__(self) -> None:
        unknown = [name for name in self.parts if name not in PARTS]
        if unknown:
            raise StackError(f"There is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}.")

    @property
    def data_dir(self) -> Path:
        return self.settings.data_dir.absolute()

    def ports(self, parts: Iterable[str] = tuple(PARTS)) -> dict[str, int]:
        """The ports of `parts`, whether they run here or not, by their settings: `{"CHECKOUT_API_PORT": 8082}`."""
        names = [name for part in parts for name in PARTS[part].ports]
        return {f"CHECKOUT_{name.upper()}": getattr(self.settings, name) for name in names}

    def own(self, secret: str) -> str | None:
        """A secret that the user has set, by its field in `Settings`. None when it is not set: the stack then has
        its own."""
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
