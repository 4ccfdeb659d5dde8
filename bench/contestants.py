"""Who is measured: the shop and its peers, each a set of processes over a database of its own in one PostgreSQL.

A peer takes the place of parts of our stack (`stack.stack`): it is given the same environment, and the payment service
sends its webhooks to the same address.
"""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from bench.target import Target
from stack.config import PARTS, StackConfig
from stack.part import Part
from stack.stack import Stack

_OURS = tuple(part for part in PARTS if part != "postgres")
# What `stack.temporal` adds to the development server's defaults.
_TUNING = ("--sqlite-pragma", "--dynamic-config-value")


@dataclass(frozen=True)
class Contestant:
    """`instead` says by part which module, with its arguments, runs in its place."""

    name: str
    title: str
    parts: tuple[str, ...] = _OURS
    instead: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dialect: str = "shop"
    """How it is bought from: see `bench.customer`."""
    brief: bool = False
    """Only in the workloads that repeat."""
    tuned: bool = True
    """Whether Temporal's server runs with the settings that `checkout up` gives it."""

    def adapt(self, part: Part) -> Part:
        if part.name in self.instead:
            part = replace(part, argv=(sys.executable, "-m", *self.instead[part.name]))
            return replace(part, ready=None) if part.name == "worker" else part
        if part.name == "temporal" and not self.tuned:
            words = list(part.argv)
            for name in _TUNING:
                while name in words:
                    del words[words.index(name) : words.index(name) + 2]
            return replace(part, argv=tuple(words))
        return part


_TUTORIAL = {"gateway": ("bench.peers.temporal", "gateway"), "worker": ("bench.peers.temporal", "worker")}
_NO_ENGINE = ("setup", "payment", "gateway")

CONTESTANTS = {
    each.name: each
    for each in (
        Contestant("ours", "this shop"),
        Contestant("dbos", "DBOS, the same steps", _NO_ENGINE, {"gateway": ("bench.peers.dbos",)}),
        Contestant("temporal", "Temporal as in tutorials", _OURS, _TUTORIAL),
        Contestant("defaults", "Temporal as in tutorials, server untuned", _OURS, _TUTORIAL, brief=True, tuned=False),
        Contestant("bare", "no durability", _NO_ENGINE, {"gateway": ("bench.peers.bare",)}),
        Contestant(
            "widgets", "DBOS's widget store", ("gateway",), {"gateway": ("bench.peers.widgets",)}, "widgets", brief=True
        ),
    )
}


class Postgres:
    """The one PostgreSQL of a comparison. Commits reach the disk, as in `checkout up`."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    @property
    def pid(self) -> int:
        return self._stack["postgres"].pid

    async def database(self, name: str) -> str:
        """The address of a database of this name, made if it is not there."""
        connection = await asyncpg.connect(self._stack.database_url)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()
        return urlsplit(self._stack.database_url)._replace(path=f"/{name}").geturl()

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path) -> AsyncIterator["Postgres"]:
        async with Stack(StackConfig.for_tests(folder / "postgres", parts=("postgres",), fsync=True)) as stack:
            yield cls(stack)


@dataclass(frozen=True)
class Running:
    """A contestant that has started."""

    contestant: Contestant
    stack: Stack
    postgres: Postgres

    @property
    def target(self) -> Target:
        """Asked anew after a part was restarted: its process has another id."""
        urls, stack = self.stack.urls, self.stack
        services = [part for part in stack.config.running if part != "setup"]
        return Target(
            gateway_url=urls["gateway"],
            payment_url=urls["payment"],
            admin_token=stack.admin_token,
            database_url=stack.database_url if self.contestant.dialect == "shop" else None,
            temporal_ui_url=urls["temporal_ui"] if self.contestant.name == "ours" else None,
            pids={part: stack[part].pid for part in services} | {"postgres": self.postgres.pid},
            dialect=self.contestant.dialect,
        )


@asynccontextmanager
async def running(contestant: Contestant, postgres: Postgres, folder: Path, **env: str) -> AsyncIterator[Running]:
    """Start it over the data it had before, if any; stop it at the end. `env` goes to all of its parts."""
    config = StackConfig.for_tests(
        folder / contestant.name,
        parts=contestant.parts,
        database_url=await postgres.database(f"bench_{contestant.name}"),
        adapt=contestant.adapt,
        extra_env=env,
    )
    async with Stack(config) as stack:
        yield Running(contestant, stack, postgres)
