"""An upgrade, rehearsed: the last release sells on the new schema, beside the new processes, and what it began goes on.

Expand and contract (docs/releasing.md) means that every moment of this works. Old are the worker, the gateway and the
schema as it was; the payment service is a third party.
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from stack.parts import Part
from stack.temporal import program
from tests.campaigns.chaos.customer import Customer
from tests.campaigns.chaos.verdicts import Violated
from tests.campaigns.chaos.world import World

_NEW = Path(__file__).resolve().parents[3]
_OURS = ("setup", "worker", "gateway")
_DEPLOYMENT = "checkout"


class OldWorld(World):
    """The campaign's world, whose set-up, worker and gateway run the code in `old`."""

    def __init__(self, data_dir: Path, old: Path, *, build_id: str = "") -> None:
        super().__init__(data_dir)
        self._old, self._build_id = old, build_id

    def _adapt(self, part: Part) -> Part:
        if part.name in _OURS:
            part = replace(part, env={**part.env, "PYTHONPATH": str(self._old)})
        if part.name == "worker" and self._build_id:
            part = replace(part, env={**part.env, "CHECKOUT_BUILD_ID": self._build_id})
        return super()._adapt(part)

    async def migrate(self) -> None:
        """`python -m db migrate` and `python -m db roles` of the new release, while the old one sells."""
        env = {**self._templates["setup"].env, "PYTHONPATH": str(_NEW)}
        for what in ("migrate", "roles"):
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "db", what, env=env)
            if await process.wait() != 0:
                raise Violated(f"python -m db {what} failed")

    async def make_current(self, build_id: str) -> None:
        """By the command of docs/operations.md, as soon as Temporal knows the version."""
        for _ in range(100):
            process = await asyncio.create_subprocess_exec(
                str(program()), "worker", "deployment", "set-current-version", "--deployment-name", _DEPLOYMENT,
                "--build-id", build_id, "--yes", "--address", self.stack.urls["temporal"],
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            told = (await process.communicate())[0].decode()
            if process.returncode == 0:
                return
            await asyncio.sleep(0.2)
        raise Violated(f"version {build_id} could not be made current: {told}")


async def rehearse(
    folder: Path, old: Path, say: Callable[[str], None], *, versions: bool, within: float = 240.0
) -> None:
    """Raises `Violated`. With `versions` the workers are versions of a deployment; else the new one goes on with what
    the old one began. `within` is seconds: a customer who is told to come again comes for ever."""
    try:
        async with asyncio.timeout(within):
            await _rehearse(folder, old, say, versions)
    except TimeoutError:
        raise Violated(f"it came no further within {within:g} s") from None


async def _rehearse(folder: Path, old: Path, say: Callable[[str], None], versions: bool) -> None:
    customers: list[Customer] = []

    def customer(world: World, gateway: str | None = None) -> Customer:
        customers.append(Customer(world, gateway=gateway))
        return customers[-1]

    async with AsyncExitStack() as exits:
        world = await exits.enter_async_context(OldWorld(folder, old, build_id="old" if versions else ""))
        if versions:
            await world.make_current("old")
        await customer(world).shop()
        waits = customer(world)
        await waits.buy()
        say("the old release sells, and has a checkout that waits")
        before = await _schema(world)
        await world.migrate()
        say(f"the schema is migrated under it: {before} to {await _schema(world)}")
        await waits.pay()
        await waits.until("dispatched")
        await customer(world).shop()
        returned = customer(world)
        await returned.shop()
        await returned.ask_for_refund()
        given_up, waits = customer(world), customer(world)
        await asyncio.gather(given_up.buy(), waits.buy())
        await given_up.cancel()
        say("the old release sells, cancels and gives money back on the new schema; another checkout waits")

        build_id = {"CHECKOUT_BUILD_ID": "new"} if versions else {}
        code = {"PYTHONPATH": str(_NEW)}
        await exits.enter_async_context(world.another("worker", "new-worker", **code, **build_id))
        gateway = await exits.enter_async_context(world.another("gateway", "new-gateway", **code))
        if versions:
            await world.make_current("new")
        mixed, later = customer(world), customer(world, gateway)
        await asyncio.gather(mixed.shop(), customer(world, gateway).shop(), later.buy())
        say("old and new sell beside each other")
        if versions:
            await waits.pay()
            await waits.until("dispatched")
        for name in ("webhook", "gateway"):  # what a load balancer does
            world.proxies[name].lead_to(int(gateway.rpartition(":")[2]))
        await world.stack["gateway"].stop()
        await world.stack["worker"].stop()
        for one in customers:
            one.move_to(gateway)
        if not versions:
            await waits.pay()
            await waits.until("dispatched")
        await later.pay()
        await later.until("dispatched")
        await customer(world, gateway).shop()
        say("the new release alone: what waited has ended, and it sells")
        world.direct = gateway
        await world.quiet()
        for one in customers:
            await one.check()
        say(f"the audit is clean, and {len(customers)} customers were told the truth")


async def _schema(world: World) -> str:
    return str((await world.query("SELECT version_num FROM shop.alembic_version"))[0][0])
