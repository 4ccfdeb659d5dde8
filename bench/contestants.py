"""Who is measured: the shop and its peers, each a set of processes over a database of its own in one PostgreSQL.

A peer takes the place of parts of our stack (`stack.stack`): it is given the same environment, and the payment service
sends its webhooks to the same address.
"""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from bench.customer import Target
from stack.config import StackConfig
from stack.parts import PARTS, Part
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


@dataclass(frozen=True)
class Running:
    """A contestant that has started."""

    contestant: Contestant
    stack: Stack
    postgres: Stack

    @property
    def target(self) -> Target:
        """Ask again after a part was restarted: its process has another id then."""
        stack, is_shop = self.stack, self.contestant.dialect == "shop"
        services = [part for part in stack.config.running if part != "setup"]
        return Target(
            gateway_url=stack.urls["gateway"],
            payment_url=stack.urls["payment"],
            admin_token=stack.admin_token,
            database_url=stack.database_url if is_shop else None,
            pids={part: stack[part].pid for part in services} | {"postgres": self.postgres["postgres"].pid},
            dialect=self.contestant.dialect,
        )

    @asynccontextmanager
    async def beside(self, more: int) -> AsyncIterator[Target]:
        """`more` workers and as many gateways of ours, on the same database and the same Temporal. Webhooks go to the
        first gateway, customers to all."""
        stack, config, target = self.stack, self.stack.config, self.target
        shared = {
            **config.base_env,
            "TEMPORAL_ADDRESS": stack.urls["temporal"],
            "TEMPORAL_CONFIG_FILE": "/dev/null",
            "STRIPE_API_BASE": stack.urls["payment"],
        }
        pids, gateways = dict(target.pids), []
        async with AsyncExitStack() as exits:
            for number in range(more):
                another = StackConfig.for_tests(
                    config.data_dir / f"beside-{number}",
                    parts=("worker", "gateway"),
                    base_env=shared,
                    database_url=stack.database_url,
                    stripe_api_base_setting=stack.urls["payment"],
                    stripe_webhook_secrets=stack.credentials.webhook_secret,
                    admin_token=stack.admin_token,
                    extra_env=config.extra_env,
                )
                started = await exits.enter_async_context(Stack(another))
                gateways.append(started.urls["gateway"])
                pids |= {f"{part}-{number + 2}": started[part].pid for part in another.parts}
            yield replace(target, pids=pids, more_gateways=tuple(gateways))


@asynccontextmanager
async def running(contestant: Contestant, postgres: Stack, folder: Path, **env: str) -> AsyncIterator[Running]:
    """Start it over the data it had before, if any; stop it at the end. `env` goes to all of its parts."""
    config = StackConfig.for_tests(
        folder / contestant.name,
        parts=contestant.parts,
        database_url=await _database(postgres, f"bench_{contestant.name}"),
        adapt=contestant.adapt,
        extra_env=env,
    )
    async with Stack(config) as stack:
        yield Running(contestant, stack, postgres)


async def _database(postgres: Stack, name: str) -> str:
    """The address of a database of this name, made if it is not there."""
    connection = await asyncpg.connect(postgres.database_url)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return urlsplit(postgres.database_url)._replace(path=f"/{name}").geturl()
