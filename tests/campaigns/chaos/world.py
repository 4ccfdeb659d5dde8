"""The real stack with everything a fault needs: a proxy before every server, armed failpoints, more processes."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import asyncpg
import httpx
from temporalio.client import Client

from stack.config import StackConfig
from stack.errors import PartFailed
from stack.parts import Part, Probe
from stack.probes import free_ports, http_ok
from stack.stack import Stack
from stack.supervisor import Keeper
from tests.campaigns import firing
from tests.campaigns.chaos.armory import Armory
from tests.campaigns.chaos.verdicts import Violated, Void, in_time
from tests.support.proxy import TcpProxy
from tests.support.stacks import brisk, ready

# The campaign waits for what it causes, so everything that is only patience is short.
SETTINGS = {
    "CHECKOUT_DISPATCH_DURATION": "1",
    "CHECKOUT_SWEEP_INTERVAL": "2",
    "CHECKOUT_SWEEP_GRACE": "3",
    "CHECKOUT_PAYMENT_TIMEOUT": "120",
    "CHECKOUT_SESSION_WAIT": "5",
    "PAYMENT_WEBHOOK_RETRY_CAP": "1",
    "PAYMENT_WEBHOOK_TIMEOUT": "3",
}
HASTY_TIMEOUT = 2.0  # seconds that the second gateway's customers have to pay
_LOOK = 0.05
PARTS = ("worker", "gateway", "payment", "postgres", "temporal")


class World:
    """`async with World(data_dir) as world:` runs a stack of its own on free ports.

    `gateway` is where customers go, through a proxy; `direct` the same gateway for whoever only looks. Proxies by the
    server that they stand before: `postgres` and `temporal` (for worker and gateway), `payment` (for the worker),
    `webhook` (for the payment service) and `gateway` (for customers).
    """

    def __init__(self, data_dir: Path) -> None:
        self._config = StackConfig.for_tests(data_dir, extra_env=SETTINGS, adapt=self._adapt)
        self._failpoints_file = data_dir / "failpoints.json"
        self.failpoints = Armory(self._failpoints_file, self.note)
        self._exit = AsyncExitStack()
        self._extras: dict[str, Keeper] = {}
        self._templates: dict[str, Part] = {}
        self.proxies: dict[str, TcpProxy] = {}
        self.victims: tuple[str, ...] = PARTS
        """Whom a storm may kill or freeze."""
        self.faults: dict[str, int] = {}
        """How often each kind of fault happened, for the report."""

    async def __aenter__(self) -> Self:
        await self._exit.__aenter__()
        try:
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.thaw_all()
        await self._exit.aclose()

    async def _start(self) -> None:
        config = self._config
        targets = {
            "postgres": config.settings.postgres_port,
            "temporal": config.settings.temporal_port,
            "payment": config.settings.payment_port,
            "webhook": config.settings.api_port,
            "gateway": config.settings.api_port,
        }
        for name, port in targets.items():
            self.proxies[name] = await self._exit.enter_async_context(TcpProxy("127.0.0.1", port))
        self.stack = await self._exit.enter_async_context(Stack(config))
        self.http = await self._exit.enter_async_context(httpx.AsyncClient(timeout=10, trust_env=False))
        self.gateway = f"http://127.0.0.1:{self.proxies['gateway'].port}"
        self.shop = self.gateway
        """Where customers go who are only counted: a load balancer, if there is one."""
        self.direct = f"http://127.0.0.1:{config.settings.api_port}"
        self.payment = f"http://127.0.0.1:{config.settings.payment_port}"
        self.temporal = await Client.connect(f"127.0.0.1:{config.settings.temporal_port}", lazy=True)
        self.operator = {"Authorization": f"Bearer {self.stack.admin_token}"}

    def _adapt(self, part: Part) -> Part:
        """Put the proxies between worker or gateway and the rest, and between the payment service and the gateway.

        A death is never one of a row: it is the campaign that kills, again and again.
        """
        env = dict(part.env)
        if part.name in ("worker", "gateway"):
            env |= {
                "DATABASE_URL": self.proxies["postgres"].in_place_of(env["DATABASE_URL"]),
                "TEMPORAL_ADDRESS": f"127.0.0.1:{self.proxies['temporal'].port}",
                "STRIPE_API_BASE": f"http://127.0.0.1:{self.proxies['payment'].port}",
                "CHECKOUT_FAILPOINTS": firing.SETTING,
                firing.ARMINGS: str(self._failpoints_file),
            }
        elif part.name == "payment":
            env["PAYMENT_WEBHOOK_URL"] = f"http://127.0.0.1:{self.proxies['webhook'].port}/payment_webhook"
        adapted = self._templates[part.name] = replace(brisk(part), env=env, steady_after=0.0)
        return adapted

    def thaw_all(self) -> None:
        """SIGCONT to everything that a failpoint or we have frozen. Harmless to what runs."""
        for name in [*PARTS, *self._extras]:
            try:
                os.killpg(self.pid(name), signal.SIGCONT)
            except (PartFailed, ProcessLookupError):
                continue

    def note(self, fault: str) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1

    # Processes

    def pid(self, part: str) -> int:
        return self.keeper(part).pid

    def keeper(self, part: str) -> Keeper:
        return self._extras.get(part) or self.stack[part]

    async def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal a part's whole process group. Silent when it is dead at the moment."""
        try:
            await self.keeper(part).kill(number)
            if number is not signal.SIGCONT:
                self.note(f"{number.name} {part}")
        except PartFailed:
            pass

    async def restart(self, part: str, number: signal.Signals = signal.SIGTERM, within: float = 60.0) -> float:
        """As a rolling restart does: ask it to end, wait until its successor is ready. Answers the seconds it took."""
        begun, before = time.monotonic(), self.pid(part)
        await self.kill(part, number)
        async with asyncio.timeout(within):
            while self._pid_or_none(part) in (None, before):  # noqa: ASYNC110 - nobody tells of a foreign process
                await asyncio.sleep(_LOOK)
            await ready(self.probe(part))
        return time.monotonic() - begun

    def _pid_or_none(self, part: str) -> int | None:
        try:
            return self.pid(part)
        except PartFailed:
            return None

    def probe(self, part: str) -> Probe:
        """How to tell that a part is ready."""
        known = self._extras[part].part if part in self._extras else self._templates[part]
        assert known.ready is not None
        return known.ready

    @asynccontextmanager
    async def another(self, part: str, name: str, **env: str) -> AsyncIterator[str]:
        """One more worker or gateway, with settings of its own; for a gateway, yields its address."""
        template = self._templates[part]
        port_name = {"worker": "CHECKOUT_WORKER_PORT", "gateway": "CHECKOUT_API_PORT"}[part]
        port = int(env.get(port_name, 0)) or free_ports(1)[0]
        extra = replace(
            template,
            name=name,
            env={**template.env, port_name: str(port), **env},
            ready=partial(http_ok, f"http://127.0.0.1:{port}/readyz"),
        )
        self._extras[name] = keeper = Keeper(extra, self.stack.config.data_dir / "logs")
        try:
            await keeper.start()
            yield f"http://127.0.0.1:{port}"
        finally:
            await keeper.stop()
            del self._extras[name]

    async def settled(self) -> None:
        """Every part answers again."""
        self.thaw_all()
        for name, proxy in self.proxies.items():
            proxy.pass_through()
            for kind in proxy.hits:
                self.note(f"{kind} {name}")
            proxy.hits.clear()
        for part in PARTS:
            await self.stack[part].wait_ready(60)

    # Looking

    async def query(self, statement: str, *arguments: Any) -> list[Any]:
        """Rows straight from PostgreSQL, past the proxy."""
        connection = await asyncpg.connect(self.stack.database_url)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    async def plant(self, point: str, action: str, **rule: Any) -> int:
        """Set a rule at the payment service's control plane; see `payment_mock.faults.RuleInput`."""
        answer = await self.http.put(f"{self.payment}/_faults", json={"point": point, "action": action, **rule})
        answer.raise_for_status()
        return int(answer.json()["id"])

    async def planted(self, rule_id: int, at_least: int = 1) -> None:
        """Raises `Void` unless the rule has fired; forgets all rules."""
        rules = (await self.http.get(f"{self.payment}/_faults")).json()["rules"]
        fired = next((rule["fired"] for rule in rules if rule["id"] == rule_id), 0)
        await self.http.delete(f"{self.payment}/_faults")
        if fired < at_least:
            raise Void(f"rule {rule_id} of the payment service fired {fired} times")
        self.note("payment service rule")

    async def audit(self) -> dict[str, Any]:
        """The verdict now, with no grace. Asked again while the gateway cannot say."""

        async def ask() -> dict[str, Any] | None:
            everything = {"grace": 0, "whole": True}
            answer = await self.http.get(f"{self.direct}/admin/audit", params=everything, headers=self.operator)
            return dict(answer.json()) if answer.status_code == 200 else None

        return await in_time(ask, 30, "the gateway gives no verdict")

    async def quiet(self, within: float = 30.0) -> dict[str, Any]:
        """The clean verdict, once everything has come to rest. Raises `Violated` with what is still wrong then."""
        deadline = time.monotonic() + within
        while True:
            verdict = await self.audit()
            if verdict["ok"]:
                return verdict
            wrong = {i["number"]: i["violations"][:5] for i in verdict["invariants"] if not i["ok"]}
            # 1 and 4 hold at every moment: there is nothing to wait for.
            if time.monotonic() > deadline or wrong.keys() & {1, 4}:
                raise Violated(f"the audit says: {wrong}")
            await asyncio.sleep(0.1)
