"""Where a running stack is: `stack.json` in the data directory, else the settings, unless options say so."""

from dataclasses import dataclass, field
from typing import Any

from runtime.settings import load_settings
from stack.data_dir import read_state


@dataclass(frozen=True)
class Location:
    """Addresses without a slash at the end. `is_local`: a `checkout up` of this machine runs it; only then are
    `database_url` and `pids` (process ids by part) known."""

    gateway_url: str
    payment_url: str
    admin_token: str | None = field(default=None, repr=False)
    database_url: str | None = field(default=None, repr=False)
    pids: dict[str, int] = field(default_factory=dict)
    temporal_ui_url: str = ""
    is_local: bool = False


def locate(url: str | None = None, token: str | None = None) -> Location:
    """Find the stack of this data directory, or with `url` the gateway there. Raises `SettingsError`."""
    known = load_settings()
    stack: dict[str, Any] = {} if url else read_state(known.data_dir) or {}
    parts = {name: part for name, part in stack.items() if isinstance(part, dict)}

    def address(part: str, key: str, otherwise: str) -> str:
        return str(parts.get(part, {}).get(key) or otherwise).rstrip("/")

    return Location(
        gateway_url=(url or address("gateway", "url", f"http://localhost:{known.api_port}")).rstrip("/"),
        payment_url=address("payment", "url", known.stripe_api_base or f"http://localhost:{known.payment_port}"),
        temporal_ui_url=address("temporal", "ui_url", known.temporal_ui_url),
        admin_token=token or stack.get("admin_token") or known.admin_token.get_secret_value(),
        database_url=stack.get("database_url"),
        pids={name: part["pid"] for name, part in parts.items() if isinstance(part.get("pid"), int)},
        is_local="supervisor_pid" in stack,
    )
