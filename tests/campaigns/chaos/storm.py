"""The storm: customers of every temper under load while everything is killed, frozen, cut off and delayed at random.

Then quiet: the audit must be clean, and whatever any customer was ever told still true. A seed decides who does what
and what breaks when; the timing remains the machine's own, so a seed narrows a failure down rather than replaying it.
"""

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.campaigns.chaos.customer import Customer
from tests.campaigns.chaos.verdicts import Violated, Void
from tests.campaigns.chaos.world import PARTS, World
from tests.campaigns.firing import Action
from tests.campaigns.registry import STEPS

PATIENCE = 180.0  # seconds a customer goes on asking in a storm
_CARTS: Sequence[dict[str, int]] = ({"pen": 1}, {"pen": 2, "notebook": 1}, {"notebook": 3}, {"limited-print": 1})


@dataclass
class StormResult:
    """Counts, for the proof that it was a storm."""

    seconds: float
    seed: int
    customers: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    audits: int = 0


class Storm:
    """`run` for a while; `on_progress` is told one line now and then."""

    def __init__(
        self,
        world: World,
        hasty: str,
        *,
        seed: int,
        shoppers: int = 6,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._world, self._hasty = world, hasty
        self._random = random.Random(seed)
        self._shoppers = shoppers
        self._next: list[str] = []
        self._on_progress = on_progress
        self._customers: list[Customer] = []
        self._result = StormResult(0, seed)
        self._is_over = asyncio.Event()

    async def run(self, seconds: float) -> StormResult:
        """Raises `Violated` for a broken promise, `Void` when too little happened."""
        self._result.seconds = seconds
        shoppers = [asyncio.create_task(self._shop()) for _ in range(self._shoppers)]
        weather = [asyncio.create_task(task) for task in (self._break_things(), self._watch())]
        try:
            done, _ = await asyncio.wait([*shoppers, *weather], timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            self._is_over.set()
            for task in weather:
                task.cancel()
            await asyncio.gather(*weather, return_exceptions=True)
            self._world.failpoints.disarm()
            await self._world.settled()
        self._on_progress("the storm is over; waiting for everyone to come home")
        await asyncio.gather(*shoppers)
        verdict = await self._world.quiet(within=90)
        for customer in self._customers:
            await customer.check()
        self._result.outcomes = Counter(verdict["outcomes"])
        self._result.customers = len(self._customers)
        self._prove()
        return self._result

    def _prove(self) -> None:
        """A storm of a minute or more must have had everything; a short one, something."""
        kinds = [f"SIGKILL {part}" for part in PARTS] if self._result.seconds >= 60 else []
        if missing := [kind for kind in kinds if not self._result.faults[kind]]:
            raise Void(f"never happened: {', '.join(missing)}")
        if not self._result.faults or not self._result.outcomes.get("dispatched"):
            raise Void(f"no storm: {self._result}")

    # Customers

    async def _shop(self) -> None:
        tempers: dict[Callable[[Customer], Awaitable[None]], int] = {
            self._buyer: 40,
            self._double_clicker: 12,
            self._undecided: 10,
            self._canceller: 12,
            self._leaver: 8,
            self._vanisher: 8,
            self._abandoner: 5,
            self._hesitant: 10,
            self._returner: 5,
        }
        while not self._is_over.is_set():
            temper = self._random.choices(list(tempers), list(tempers.values()))[0]
            is_hasty = temper in (self._abandoner, self._hesitant)
            gateway = self._hasty if is_hasty else self._world.gateway
            customer = Customer(self._world, cart=self._random.choice(_CARTS), gateway=gateway, within=PATIENCE)
            self._customers.append(customer)
            if await customer.buy():
                await temper(customer)
            await asyncio.sleep(self._random.uniform(0, 0.3))

    async def _buyer(self, customer: Customer) -> None:
        await customer.pay()
        await customer.until()

    async def _double_clicker(self, customer: Customer) -> None:
        await asyncio.gather(customer.buy(), customer.buy(), customer.pay(), customer.pay())
        await customer.until()

    async def _undecided(self, customer: Customer) -> None:
        """Pays and cancels in the same moment."""
        await asyncio.gather(customer.pay(), customer.cancel())
        await customer.until()

    async def _canceller(self, customer: Customer) -> None:
        await asyncio.sleep(self._random.uniform(0, 1))
        await customer.cancel()
        await customer.until()

    async def _leaver(self, customer: Customer) -> None:
        await customer.leave()
        await customer.until()

    async def _vanisher(self, customer: Customer) -> None:
        """Pays and closes the browser."""
        await customer.pay()

    async def _abandoner(self, customer: Customer) -> None:
        await customer.until()

    async def _hesitant(self, customer: Customer) -> None:
        """Pays when the time is about to be up."""
        await asyncio.sleep(self._random.uniform(1.2, 2.4))
        await customer.pay()
        await customer.until()

    async def _returner(self, customer: Customer) -> None:
        """Pays, and the operator gives the money back."""
        if await customer.pay():
            await customer.until("dispatched", "refunded")
            await customer.ask_for_refund()
        await customer.until()

    # Weather

    async def _break_things(self) -> None:
        kinds: dict[Callable[[], Awaitable[str]], int] = {
            self._kill: 45,
            self._freeze: 12,
            self._arm: 18,
            self._cut_off: 15,
            self._spoil_answers: 10,
        }
        begun = time.monotonic()
        while True:
            await asyncio.sleep(self._random.uniform(0.5, 3.5))
            fault = await self._random.choices(list(kinds), list(kinds.values()))[0]()
            self._result.faults[fault] += 1
            self._on_progress(f"{time.monotonic() - begun:5.0f} s  {fault}  ({len(self._customers)} customers)")

    async def _kill(self) -> str:
        # Each has its turn before any has another, in an order of the seed.
        self._next = self._next or self._random.sample(self._world.victims, len(self._world.victims))
        part = self._next.pop()
        await self._world.kill(part)
        return f"SIGKILL {part}"

    async def _freeze(self) -> str:
        part = self._random.choice(self._world.victims)
        await self._world.kill(part, signal.SIGSTOP)
        await asyncio.sleep(self._random.uniform(0.5, 5))
        await self._world.kill(part, signal.SIGCONT)
        return f"SIGSTOP {part}"

    async def _arm(self) -> str:
        step = self._random.choice(list(STEPS))
        boundary = self._random.choice(STEPS[step].boundaries)
        action = self._random.choice((Action.KILL, Action.LOSE, Action.SLEEP))
        self._world.failpoints.arm(
            step, boundary, action, times=self._random.randint(1, 3), seconds=self._random.uniform(0, 6)
        )
        return f"armed {action}"

    async def _cut_off(self) -> str:
        name = self._random.choice(list(self._world.proxies))
        proxy = self._world.proxies[name]
        kind = self._random.choice(("reset", "blackhole", "half_close", "cut", "delay"))
        match kind:
            case "reset":
                proxy.reset()
            case "blackhole":
                proxy.blackhole(*self._random.choice(((), ("client",), ("server",))))
            case "half_close":
                proxy.half_close(to=self._random.choice(("client", "server")))
            case "cut":
                proxy.cut_after(self._random.randint(0, 2000), to=self._random.choice(("client", "server")))
            case "delay":
                proxy.delay(self._random.uniform(0.01, 0.5))
        await asyncio.sleep(self._random.uniform(0.2, 4))
        proxy.pass_through()
        return f"{kind} {name}"

    async def _spoil_answers(self) -> str:
        operation = self._random.choice(("create", "retrieve", "expire", "refund"))
        action = self._random.choice(("error", "drop", "delay", "broken_body"))
        when = self._random.choice(("before", "after"))
        with contextlib.suppress(Exception):  # the payment service may be dead at the moment
            more = {"delay_seconds": self._random.uniform(0.5, 3)} if action == "delay" else {}
            await self._world.plant(f"{operation}.{when}", action, times=self._random.randint(1, 3), **more)
        return f"payment service: {action}"

    async def _watch(self) -> None:
        """Invariants 1 and 4 hold at every moment, storm or not."""
        while True:
            await asyncio.sleep(3)
            with contextlib.suppress(Violated):  # no verdict to be had: the gateway is down, too
                verdict = await self._world.audit()
                self._result.audits += 1
                wrong = [i for i in verdict["invariants"] if i["number"] in (1, 4) and not i["ok"]]
                if wrong:
                    raise RuntimeError(f"in the middle of the storm: {wrong}")
