"""The shop on a cluster: Temporal's processes one by one, three workers, two gateways behind a balancer.

It is the campaign's world (`tests.campaigns.chaos.world`), in which `temporal` is all of Temporal at once and
`temporal/history-1` one of its processes.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from stack.environment import server_environment
from stack.errors import NotReady, PartFailed
from stack.parts import Part, Probe
from stack.probes import free_ports, http_ok, tcp_open
from stack.supervisor import Keeper
from tests.campaigns.chaos.world import PARTS, World
from tests.campaigns.cluster.balance import HttpBalancer, gateway
from tests.campaigns.cluster.binaries import Binaries
from tests.campaigns.cluster.layout import SERVICES, Plan, roles
from tests.campaigns.cluster.postgres import InstalledPostgres
from tests.support.stacks import ready

HISTORIES = "histories"  # Temporal's PostgreSQL
WORKERS = ("worker", "worker-2", "worker-3")
GATEWAYS = ("gateway", "gateway-2")
_CONNECTIONS = "max_connections=300"  # seven processes of Temporal's have up to 13 each
_LAUNCHER = "tests.campaigns.cluster.temporal"
_PREFIX = "temporal/"
_LOOK = 0.05


class ClusterWorld(World):
    """With `faults`, the campaign's proxies stand between our processes and all servers; without, nothing does, and
    PostgreSQL writes its commits to disk: for measurements. `shop` is the address of the balancer over both gateways.
    """

    def __init__(self, data_dir: Path, binaries: Binaries, *, faults: bool = True, **settings: str) -> None:
        super().__init__(data_dir)
        self._faults = faults
        if not faults:
            self._config = replace(self._config, fsync=True)
        self._config = replace(self._config, extra_env={**self._config.extra_env, **settings})
        second, self.shop_port, history, *ports = free_ports(3 + 3 * len(SERVICES))
        self._second_gateway = second
        config = self._config
        self._history = InstalledPostgres(data_dir.absolute() / "histories", history, not faults, binaries.postgres)
        self.plan = Plan(
            folder=data_dir.absolute() / "temporal",
            database_url=self._history.url(),
            port=config.settings.temporal_port,
            ui_port=config.settings.temporal_ui_port,
            roles=roles(ports),
            server=str(binaries.server),
            sql_tool=str(binaries.sql_tool),
            cli=str(binaries.cli),
            ui=str(binaries.ui) if binaries.ui else None,
            dynamic_config={},
        )
        self.roles = [role.name for role in self.plan.roles]
        self.victims = (*PARTS, HISTORIES, *WORKERS[1:], *GATEWAYS[1:], *(_PREFIX + name for name in self.roles))

    async def _start(self) -> None:
        targets = [gateway(self._config.settings.api_port), gateway(self._second_gateway)]
        self._balancer = await self._exit.enter_async_context(HttpBalancer(targets, self.shop_port))
        await self._exit.enter_async_context(self._keeping(self._histories()))
        await super()._start()
        self.shop = f"http://127.0.0.1:{self.shop_port}"
        for name in WORKERS[1:]:
            await self._exit.enter_async_context(self.another("worker", name))
        port = str(self._second_gateway)
        await self._exit.enter_async_context(self.another("gateway", GATEWAYS[1], CHECKOUT_API_PORT=port))

    def _adapt(self, part: Part) -> Part:
        if part.name == "temporal":
            part = self._cluster(part)
        if self._faults:
            return super()._adapt(part)
        if part.name == "payment":
            part = replace(
                part, env={**part.env, "PAYMENT_WEBHOOK_URL": f"http://127.0.0.1:{self.shop_port}/payment_webhook"}
            )
        self._templates[part.name] = adapted = replace(part, steady_after=0.0)
        return adapted

    def _histories(self) -> Part:
        (self._history.data_dir).mkdir(parents=True, exist_ok=True, mode=0o711)
        part = self._history.part(server_environment(self._config))
        argv = tuple(_CONNECTIONS if "max_conn" in word else word for word in part.argv)
        return replace(part, name=HISTORIES, argv=argv, steady_after=0.0)

    @asynccontextmanager
    async def _keeping(self, part: Part) -> AsyncIterator[None]:
        self._extras[part.name] = keeper = Keeper(part, self._config.data_dir / "logs")
        try:
            await keeper.start()
            yield
        finally:
            await keeper.stop()
            del self._extras[part.name]

    def _cluster(self, part: Part) -> Part:
        """In the development server's place."""
        path = self._config.data_dir / "plan.json"

        async def prepare() -> None:
            self.plan.write(path)
            path.chmod(0o600)

        async def answers() -> None:
            if not self.plan.ready_file.exists():
                raise NotReady("the cluster is not set up yet")
            await tcp_open("127.0.0.1", self.plan.port)

        project = str(Path(__file__).parents[3])
        return replace(
            part,
            argv=(sys.executable, "-m", _LAUNCHER, str(path)),
            env={**part.env, "PYTHONPATH": project, "PATH": os.environ.get("PATH", "")},
            cwd=Path(project),
            prepare=prepare,
            ready=answers,
            ready_within=180.0,
            stop_within=20.0,
            shows=lambda _: False,
        )

    # Processes

    def pid(self, part: str) -> int:
        if not part.startswith(_PREFIX):
            return super().pid(part)
        known = json.loads(self.plan.pids_file.read_text()) if self.plan.pids_file.exists() else {}
        name = part.removeprefix(_PREFIX)
        if name not in known:
            raise PartFailed(f"{part} does not run")
        return int(known[name])

    def pids(self) -> dict[str, int]:
        """Of everything that works for the shop, by name, for the CPU meter: Temporal's processes one by one."""
        names = [*WORKERS, *GATEWAYS, "payment", "postgres", HISTORIES, *(_PREFIX + role for role in self.roles)]
        return {name: self.pid(name) for name in names}

    async def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> None:
        if not part.startswith(_PREFIX):
            await super().kill(part, number)
            return
        with suppress(PartFailed, ProcessLookupError):
            os.kill(self.pid(part), number)
            if number is not signal.SIGCONT:
                self.note(f"{number.name} {part}")

    def probe(self, part: str) -> Probe:
        if not part.startswith(_PREFIX):
            return super().probe(part)
        role = next(role for role in self.plan.roles if role.name == part.removeprefix(_PREFIX))
        if role.http_port:
            return partial(http_ok, f"http://127.0.0.1:{role.http_port}/api/v1/namespaces/default")
        return partial(tcp_open, "127.0.0.1", role.port)

    async def temporal_cli(self, command: str, *options: str) -> str:
        """What `temporal …` prints, as an operator types it; what it complains of is not part of it."""
        process = await asyncio.create_subprocess_exec(
            self.plan.cli, *command.split(), *options, "--address", f"127.0.0.1:{self.plan.port}",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        return (await process.communicate())[0].decode()

    async def settled(self) -> None:
        await super().settled()
        for role in self.roles:
            await asyncio.wait_for(ready(self.probe(_PREFIX + role)), 60)
        for name in (HISTORIES, *WORKERS[1:], *GATEWAYS[1:]):
            await self._extras[name].wait_ready(60)
