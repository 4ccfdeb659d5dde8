"""A whole stack as one object: `async with Stack(config) as stack:`."""

import os
from typing import Any

from stack import parts, preflight
from stack.config import ROLE_VARIABLES, Credentials, StackConfig, forget_libpq, python_environment
from stack.errors import PartFailed
from stack.state import DataDir, kept_secret
from stack.supervisor import Keeper, Screen, start_all, stop_all


class Stack:
    """The parts of `config`, started together and stopped together; `stack["worker"]` is the keeper of one.

    Start it from a thread that lives as long as it does: the kernel ends the parts when that thread ends.
    """

    def __init__(self, config: StackConfig, screen: Screen | None = None) -> None:
        self.config = config
        self._screen = screen
        self._data_dir = DataDir(config.data_dir)
        self._keepers: dict[str, Keeper] = {}
        self._credentials: Credentials | None = None

    async def __aenter__(self) -> "Stack":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Returns when every part is ready. Raises `StackError`, and then leaves nothing running."""
        has_crashed = self._data_dir.acquire()
        try:
            config = self.config
            forget_libpq(config)
            preflight.check_disk(config)
            await preflight.check_own_servers(config)
            await preflight.check_ports(config, after_crash=has_crashed)
            self._credentials = credentials_of(config)
            self._keepers = {
                part.name: Keeper(part, config.data_dir / "logs", self._screen, self._write_state)
                for part in parts.build(config, self._credentials)
            }
            await start_all(self._keepers)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop every part, in reverse order. Returns when no process is left; harmless when nothing runs."""
        keepers, self._keepers = self._keepers, {}
        try:
            await stop_all(keepers)
        finally:
            self._data_dir.release()

    def kill_now(self) -> None:
        """Kill everything without waiting, for the second Ctrl-C."""
        for keeper in self._keepers.values():
            keeper.kill_now()
        self._data_dir.release()

    def __getitem__(self, part: str) -> Keeper:
        """Raises `PartFailed` when it is no part of this stack, or the stack does not run."""
        if part not in self._keepers:
            raise PartFailed(f"{part} is no part of this stack")
        return self._keepers[part]

    @property
    def credentials(self) -> Credentials:
        if self._credentials is None:
            raise PartFailed("the stack is not started")
        return self._credentials

    @property
    def database_url(self) -> str:
        return self.credentials.database_url

    @property
    def admin_token(self) -> str:
        return self.credentials.admin_token

    @property
    def urls(self) -> dict[str, str]:
        return self.config.urls

    @property
    def env(self) -> dict[str, str]:
        """The environment of its Python parts: for a command line that is to talk to this stack."""
        return python_environment(self.config, self.credentials)

    def log(self, part: str) -> str:
        """What the part has written to its log file."""
        return (self.config.data_dir / "logs" / f"{part}.log").read_text(errors="replace")

    def _write_state(self) -> None:
        if not self._keepers:
            return
        state: dict[str, Any] = {
            name: {"url": keeper.part.url, "pid": keeper.pid if keeper.is_running else None}
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


def credentials_of(config: StackConfig) -> Credentials:
    """What the user has set; the rest is made up on first use, and kept in the data directory."""
    data_dir, cluster, own_database = config.data_dir, parts.cluster(config), config.own("database_url")
    if own_database is not None:  # those that its owner has set; in the embedded one each part has a role of its own
        roles = {part: url for part in ROLE_VARIABLES if (url := config.own(f"{part}_database_url"))}
    elif "setup" in config.running:
        roles = {part: cluster.url(f"checkout_{part}") for part in ROLE_VARIABLES}
    else:
        roles = {}
    return Credentials(
        database_url=own_database or cluster.url(),
        admin_token=config.own("admin_token") or kept_secret(data_dir, "admin-token"),
        webhook_secret=config.own("stripe_webhook_secrets") or kept_secret(data_dir, "webhook-secret", "whsec_"),
        role_urls=roles,
    )
