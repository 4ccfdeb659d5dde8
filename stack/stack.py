"""A whole stack as one object: `async with Stack(config) as stack:`."""

import os
import secrets
import signal
from typing import Any

from stack import parts, preflight
from stack.config import ROLE_VARIABLES, StackConfig
from stack.environment import Credentials, python_environment, urls
from stack.errors import PartFailed
from stack.keeper import Keeper
from stack.logs import Screen
from stack.state import DataDir, read_or_create_secret
from stack.supervisor import Supervisor


class Stack:
    """The parts of `config`, started together and stopped together.

    Start it from a thread that lives as long as it does: the kernel ends the parts when that thread ends.
    """

    def __init__(self, config: StackConfig, screen: Screen | None = None) -> None:
        self.config = config
        self._screen = screen
        self._data_dir = DataDir(config.data_dir)
        self._supervisor: Supervisor | None = None
        self._credentials: Credentials | None = None

    async def __aenter__(self) -> "Stack":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Returns when every part is ready. Raises `StackError`, and then leaves nothing running."""
        self._data_dir.acquire()
        try:
            config = self.config
            preflight.check_disk(config)
            await preflight.check_own_servers(config)
            await preflight.check_ports(config, after_crash=self._data_dir.crashed_before())
            self._credentials = self._make_credentials()
            self._supervisor = Supervisor(
                parts.build(config, self._credentials),
                config.data_dir / "logs",
                screen=self._screen,
                on_change=self._write_state,
            )
            await self._supervisor.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop every part, in reverse order. Returns when no process is left; harmless when nothing runs."""
        supervisor, self._supervisor = self._supervisor, None
        try:
            if supervisor is not None:
                await supervisor.stop()
        finally:
            self._data_dir.release()

    def kill_now(self) -> None:
        """Kill everything without waiting, for the second Ctrl-C."""
        if self._supervisor is not None:
            self._supervisor.kill_now()
        self._data_dir.release()

    @property
    def urls(self) -> dict[str, str]:
        """`gateway`, `payment`, `worker`, `temporal` (host:port), `temporal_ui`."""
        return urls(self.config)

    @property
    def database_url(self) -> str:
        return self._known.database_url

    @property
    def admin_token(self) -> str:
        return self._known.admin_token

    @property
    def webhook_secret(self) -> str:
        return self._known.webhook_secret

    @property
    def env(self) -> dict[str, str]:
        """The environment of its Python parts: for a command line that is to talk to this stack."""
        return python_environment(self.config, self._known)

    @property
    def restarts(self) -> dict[str, int]:
        """How often each part was started again."""
        return {name: keeper.restarts for name, keeper in self._keepers.items()}

    def pid(self, part: str) -> int:
        """Of the part's running process. Raises `PartFailed` when there is none at the moment."""
        pid = self._keeper(part).pid
        if pid is None:
            raise PartFailed(f"{part} does not run")
        return pid

    async def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal a part. After SIGKILL, returns when it is gone: then `wait_ready` means its successor."""
        await self._keeper(part).kill(number)

    async def wait_ready(self, part: str, timeout: float = 30.0) -> None:
        """Returns when the part answers. Raises `PartFailed` after `timeout` seconds."""
        await self._keeper(part).wait_ready(timeout)

    async def stop_part(self, part: str) -> None:
        """Stop a part and leave it stopped."""
        await self._keeper(part).stop()

    async def start_part(self, part: str) -> None:
        """Start a stopped part. Returns when it is ready."""
        await self._keeper(part).start()

    def log(self, part: str) -> str:
        """What the part has written to its log file."""
        return (self.config.data_dir / "logs" / f"{part}.log").read_text(errors="replace")

    def _make_credentials(self) -> Credentials:
        config, kept = self.config, self.config.data_dir / "secrets"
        database_url = config.database_url or parts.cluster(config).url
        token = config.admin_token or read_or_create_secret(kept / "admin-token", lambda: secrets.token_urlsafe(24))
        hook = config.webhook_secret or read_or_create_secret(
            kept / "webhook-secret", lambda: f"whsec_{secrets.token_urlsafe(24)}"
        )
        return Credentials(database_url, token, hook, self._role_urls())

    def _role_urls(self) -> dict[str, str]:
        """A database role a part. In the embedded PostgreSQL always; in another one, those that its owner set."""
        config = self.config
        if config.database_url is not None:
            return dict(config.role_urls)
        if "setup" not in config.running:
            return {}
        return {part: parts.cluster(config).url_of(f"checkout_{part}") for part in ROLE_VARIABLES}

    def _write_state(self) -> None:
        if self._supervisor is None:
            return
        state: dict[str, Any] = {
            name: {"url": keeper.part.url, "pid": keeper.pid}
            for name, keeper in self._keepers.items()
            if not keeper.part.once
        }
        if "temporal" in state:
            state["temporal"]["ui_url"] = self.urls["temporal_ui"]
        state |= {
            "database_url": self.database_url,
            "admin_token": self.admin_token,
            "supervisor_pid": os.getpid(),
        }
        self._data_dir.write_state(state)

    @property
    def _known(self) -> Credentials:
        if self._credentials is None:
            raise PartFailed("the stack is not started")
        return self._credentials

    @property
    def _keepers(self) -> dict[str, Keeper]:
        return self._supervisor.keepers if self._supervisor is not None else {}

    def _keeper(self, part: str) -> Keeper:
        try:
            return self._keepers[part]
        except KeyError:
            raise PartFailed(f"{part} is no part of this stack") from None
