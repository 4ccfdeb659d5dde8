"""Customers who come at a steady rate, and what each of them had to wait for."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from bench.customer import new_key
from bench.load import latency
from tests.campaigns.chaos.world import World

PATIENCE = 60.0
LATE = 5.0  # seconds: an order that is later than this, at either of its two waits, is late


@dataclass
class Visit:
    """One customer: when Buy was pressed and answered, when it was paid (unix seconds), and what went wrong."""

    key: str
    pressed: float
    answered: float | None = None
    paid: float | None = None
    fulfilled: float | None = None
    order_id: str = ""
    failures: list[str] = field(default_factory=list)
    """Each answer that was not the one wanted, and each lost connection."""

    @property
    def to_session(self) -> float | None:
        return self.answered - self.pressed if self.answered else None

    @property
    def to_fulfilled(self) -> float | None:
        return max(0.0, self.fulfilled - self.paid) if self.fulfilled and self.paid else None


@dataclass
class Crowd:
    """All visits of one load."""

    visits: list[Visit] = field(default_factory=list)

    def during(self, begin: float, end: float) -> "Crowd":
        """Those who had pressed Buy and were not yet fulfilled at some moment of it."""
        return Crowd([one for one in self.visits if one.pressed <= end and (one.fulfilled or end) >= begin])

    def summary(self) -> dict[str, object]:
        sessions = [one.to_session for one in self.visits if one.to_session is not None]
        ends = [one.to_fulfilled for one in self.visits if one.to_fulfilled is not None]
        return {
            "orders": len(self.visits),
            "fulfilled": len(ends),
            "failed_requests": sum(len(one.failures) for one in self.visits),
            "failures": sorted({failure for one in self.visits for failure in one.failures}),
            "late": sum(max(one.to_session or PATIENCE, one.to_fulfilled or PATIENCE) > LATE for one in self.visits),
            "to_session": latency(sessions),
            "paid_to_fulfilled": latency(ends),
        }


@asynccontextmanager
async def customers(world: World, rate: float) -> AsyncIterator[Crowd]:
    """`rate` a second come while the context lasts; at its end, all are waited for and their ends looked up."""
    crowd, visiting = Crowd(), set[asyncio.Task[None]]()
    is_over = asyncio.Event()
    # A connection a request, as through a proxy: a browser's idle connection is the proxy's business.
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=20, trust_env=False, limits=limits) as http:

        async def come() -> None:
            due = time.monotonic()
            while not is_over.is_set():
                visit = Visit(new_key(), time.time())
                crowd.visits.append(visit)
                visiting.add(asyncio.create_task(_visit(world, http, visit)))
                due += 1 / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))

        coming = asyncio.create_task(come())
        try:
            yield crowd
        finally:
            is_over.set()
            await coming
            await asyncio.gather(*visiting)
            await look_up_ends(world, crowd)


async def _visit(world: World, http: httpx.AsyncClient, visit: Visit) -> None:
    deadline = time.monotonic() + PATIENCE
    body = {"items": [{"sku": "pen", "quantity": 1}]}
    while True:
        try:
            answer = await http.post(f"{world.shop}/checkout/{visit.key}", json=body)
        except httpx.TransportError as error:
            visit.failures.append(f"Buy: {type(error).__name__}")
        else:
            if answer.status_code == 200:
                break
            if answer.status_code != 202:  # "begun, come again": late perhaps, and not refused
                visit.failures.append(f"Buy: {answer.status_code}")
        if time.monotonic() > deadline:
            return
        await asyncio.sleep(0.1)
    visit.answered = time.time()
    told = answer.json()
    visit.order_id = told["order_id"]
    visit.paid = time.time()
    # The payment service is a third party's, and is not restarted here.
    paid = await http.post(f"{world.payment}/api/submit_payment", data={"session_id": told["session_id"]})
    if paid.status_code != 204:
        visit.failures.append(f"pay: {paid.status_code}")
    while time.monotonic() < deadline:
        try:
            page = await http.get(f"{world.shop}/orders/{visit.order_id}")
        except httpx.TransportError as error:
            visit.failures.append(f"order: {type(error).__name__}")
        else:
            if page.status_code != 200:
                visit.failures.append(f"order: {page.status_code}")
            elif page.json()["status"] in ("fulfilled", "dispatched"):
                return
        await asyncio.sleep(0.5)


async def look_up_ends(world: World, crowd: Crowd) -> None:
    """When each was fulfilled, by the database's clock, which is this machine's."""
    by_order = {visit.order_id: visit for visit in crowd.visits if visit.order_id}
    statement = (
        "SELECT order_id, extract(epoch FROM at)::float8 FROM shop.order_events"
        " WHERE kind = 'fulfilled' AND order_id = ANY($1)"
    )
    for order_id, at in await world.query(statement, list(by_order)):
        by_order[order_id].fulfilled = at
