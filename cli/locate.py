"""Where the running stack is: `stack.json` in the data directory, else the settings, unless options say so."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cli.output import UNREACHABLE, USAGE, CommandFailed


@dataclass(frozen=True)
class Location:
    """Addresses without a slash at the end. `pids` and `database_url` are known only of a local `checkout up`."""

    data_dir: Path
    gateway_url: str
    payment_url: str
    temporal_ui_url: str
    admin_token: str | None = field(default=None, repr=False)
    database_url: str | None = field(default=None, repr=False)
    pids: dict[str, int] = field(default_factory=dict)
    supervisor_pid: int | None = None

    @property
    def is_local(self) -> bool:
        """Whether a `checkout up` of this machine runs it."""
        return self.supervisor_pid is not None


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise CommandFailed(USAGE, "Wrong --url", f"{url} does not begin with http:// or https://")
    try:
        parts = urlsplit(url)
        is_sound = bool(parts.hostname) and parts.port != 0
    except ValueError:  # no port, or none that there is
        is_sound = False
    if not is_sound:
        raise CommandFailed(USAGE, "Wrong --url", f"{url} names no host, or a port that there is not")


def locate(url: str | None = None, token: str | None = None) -> Location:
    """Find the stack. Raises `CommandFailed` when the settings, or the URL given, are wrong."""
    from checkout.errors import SettingsError
    from runtime.settings import load_settings
    from stack.state import read_state

    if url is not None:
        _check_url(url)
    if token is not None and not (token.isascii() and token.isprintable() and token == token.strip()):
        raise CommandFailed(USAGE, "Wrong --token", "A token is printable ASCII, without blanks around it")
    try:
        settings = load_settings()
    except SettingsError as error:
        raise CommandFailed(UNREACHABLE, "Wrong settings", str(error)) from None
    stack: dict[str, Any] = {} if url else read_state(settings.data_dir) or {}
    parts = {name: part for name, part in stack.items() if isinstance(part, dict)}

    def address(part: str, key: str, otherwise: str) -> str:
        return str(parts.get(part, {}).get(key) or otherwise).rstrip("/")

    return Location(
        data_dir=settings.data_dir,
        gateway_url=(url or address("gateway", "url", f"http://localhost:{settings.api_port}")).rstrip("/"),
        payment_url=address("payment", "url", settings.stripe_api_base or f"http://localhost:{settings.payment_port}"),
        temporal_ui_url=address("temporal", "ui_url", settings.temporal_ui_url),
        admin_token=token or stack.get("admin_token") or settings.admin_token.get_secret_value(),
        database_url=stack.get("database_url"),
        pids={name: part["pid"] for name, part in parts.items() if isinstance(part.get("pid"), int)},
        supervisor_pid=stack.get("supervisor_pid"),
    )
