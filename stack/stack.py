"""A whole stack as one object: `async with Stack(config) as stack:`."""

import os
import sys
from contextlib import ExitStack
from functools import partial
from typing import Any

from stack import preflight, temporal
from stack.config import StackConfig
from stack.data_dir import held, kept_secret, write_state
from stack.environment import ROLE_VARIABLES, Credentials, forget_libpq, python_environment, server_environment
from stack.errors import PartFailed
from stack.parts import PARTS, Part
from stack.postgres import Cluster
from stack.probes import http_ok
from stack.supervisor import Keeper, Screen, nowhere, start_all, stop_all


class Stack:
    """The parts of `config`, started together and stopped together; `stack["worker"]` is the keeper of one. Start it
    from a thread that lives as long as it does: the kernel ends the parts when that thread ends."""

    # From its start on.
    credentials: Credentials
    database_url: str
    admin_token: str

    def __init__(self, config: StackConfig, screen: Screen = nowhere) -> None:
        self.config, self.urls = config, config.urls
        self._screen = screen
        self._holding = ExitStack()
        self._keepers: dict[str, Keeper] = {}

    async def __aenter__(self) -> "Stack":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Returns when every part is ready. Raises `StackError`, and then leaves nothing running."""
        has_crashed = self._holding.enter_context(held(self.config.data_dir))
        try:
            config = self.config
            forget_libpq(config)
            preflight.check_disk(config)
            await preflight.check_own_servers(config)
            await preflight.check_ports(config, after_crash=has_crashed)
            self.credentials = known = credentials_of(config)
            self.database_url, self.admin_token = known.database_url, known.admin_token
            self._keepers = {
                part.name: Keeper(part, config.data_dir / "logs", self._screen, self._write_state)
                for part in build(config, known)
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
            self._holding.close()

    def kill_now(self) -> None:
        """Kill everything without waiting, for the second Ctrl-C."""
        for keeper in self._keepers.values():
            keeper.kill_now()
        self._holding.close()

    def __getitem__(self, part: str) -> Keeper:
        """Raises `PartFailed` when it is no part of this stack, or the stack does not run."""
        if part not in self._keepers:
            raise PartFailed(f"{part} is no part of this stack")
        return self._keepers[part]

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
        write_state(self.config.data_dir, state)


def credentials_of(config: StackConfig) -> Credentials:
    """What the user has set; the rest is made up on first use, and kept in the data directory."""
    data_dir, postgres, own_database = config.data_dir, cluster(config), config.own("database_url")
    if own_database is not None:  # those that its owner has set; in the embedded one each part has a role of its own
        roles = {part: url for part in ROLE_VARIABLES if (url := config.own(f"{part}_database_url"))}
    elif "setup" in config.running:
        roles = {part: postgres.url(f"checkout_{part}") for part in ROLE_VARIABLES}
    else:
        roles = {}
    return Credentials(
        database_url=own_database or postgres.url(),
        admin_token=config.own("admin_token") or kept_secret(data_dir, "admin-token"),
        webhook_secret=config.own("stripe_webhook_secrets") or kept_secret(data_dir, "webhook-secret", "whsec_"),
        role_urls=roles,
    )


def build(config: StackConfig, credentials: Credentials) -> list[Part]:
    """One `Part` for each that this stack runs itself. Raises `StackError` when a server is not installed."""

    def part(name: str) -> Part:
        if name == "postgres":
            return cluster(config).part(server_environment(config))
        return temporal.part(config) if name == "temporal" else _python(config, credentials, name)

    return [config.adapt(part(name)) for name in config.running]


def cluster(config: StackConfig) -> Cluster:
    return Cluster(config.data_dir, config.settings.postgres_port, config.fsync)


def _python(config: StackConfig, credentials: Credentials, name: str) -> Part:
    kind = PARTS[name]
    ports = [getattr(config.settings, field) for field in kind.ports]
    here = f"http://127.0.0.1:{ports[0]}" if ports else ""
    # For commands on this machine: the public address of a shop may lead elsewhere, or hide its operator's pages.
    urls = config.urls | {"gateway": f"http://localhost:{config.settings.api_port}"}
    return Part(
        name=name,
        argv=(sys.executable, "-m", *kind.module),
        env=python_environment(config, credentials, name),
        cwd=config.cwd,
        url=urls.get(name, here),
        needs=kind.needs,
        ready=partial(http_ok, f"{here}/readyz") if ports else None,
        once=not ports,
        stop_within=kind.stop_within,
    )
