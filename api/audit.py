"""The audit of a live system: both ledgers from PostgreSQL, and the running workflows from Temporal. One piece of work
at a time in all of the shop, whoever asks at whichever gateway; an audit of everything rests as long as it works."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError

from api.problems import Problem
from api.waiting import Shared
from db import audit
from db.invariants import Finding, Found, StockSums, audit_orders, audit_standing
from db.order_queries import UnsettledOrder, ended_keys, live_orders
from worker.looked_after import is_looked_after, is_running, running_workflows, without_live_order

AUDIT_SECONDS = 20.0  # each of its statements; `engine` must be as patient
CONNECTIONS = 3  # `engine` has: for who asks what is recent, for a piece of everything, to hold the lock of the whole
_LIVE_GRACE = timedelta(seconds=5)


class InvariantOut(BaseModel):
    number: int
    name: str
    ok: bool
    checked: int
    violations: list[str]


class AuditOut(BaseModel):
    """The auditor's verdict on both ledgers. `orders` were looked at: all if `whole`, else those that may have changed
    since they were last found in order; `outcomes` counts how they ended. `waiting` were too many for this time."""

    ok: bool
    checked_at: datetime
    whole: bool
    orders: int
    waiting: int
    invariants: list[InvariantOut]
    outcomes: dict[str, int]


class AuditProgress(BaseModel):
    """How far an audit of everything is."""

    what: Literal["orders", "payment sessions", "stock movements"]
    done: int
    of: int


AuditSteps = AsyncIterator[AuditProgress | AuditOut]


class Auditor:
    """Wants an engine of its own for the life of the process."""

    def __init__(self, engine: AsyncEngine, client: Client, *, patrol: int = audit.PATROL) -> None:
        self._engine, self._client, self._patrol = engine, client, patrol
        self.recent = Shared(self._recent)
        self.last_of_everything: AuditOut | None = None

    async def _recent(self, grace: timedelta) -> AuditOut:
        """Check what may have changed since it was last found in order (`db.audit`). `grace` is how long an order must
        have been left alone to count as quiet."""
        found = Found()
        async with audit.snapshot(self._engine, AUDIT_SECONDS) as connection:
            agenda = await audit.agenda(connection, grace, self._patrol)
            wrong = await audit_orders(connection, agenda.orders, grace, found)
            await audit_standing(connection, grace, found)
            seen = await audit.at_rest(connection, agenda.orders, grace)
            live = await live_orders(connection, max(grace, _LIVE_GRACE))
        async with self._engine.begin() as connection:
            await audit.note(connection, seen, wrong, agenda)
        return await self._verdict(found, live, whole=False, waiting=agenda.waiting)

    async def everything(self, grace: timedelta) -> AuditOut:
        """Audit everything and return the verdict. Raises as `whole` does."""
        async with self.whole(grace) as steps:
            [*_, verdict] = [step async for step in steps]
        assert isinstance(verdict, AuditOut), "the last step"
        return verdict

    @asynccontextmanager
    async def whole(self, grace: timedelta) -> AsyncIterator[AuditSteps]:
        """The steps of an audit of everything, piece by piece: how far it is, and at last the verdict. Raises a 409
        `Problem` when one is under way, here or in another gateway. Leaving the block ends it."""
        async with audit.the_whole(self._engine) as is_mine:
            if not is_mine:
                headers = {"Retry-After": "30"}
                raise Problem(409, "audit-running", "Everything is being audited already", headers=headers)
            # Read before the first step: who cannot read it is told so, and not within a stream that has begun.
            async with self._piece() as connection:
                orders, sessions = await audit.how_much(connection)
                done_by_this = await audit.nothing_new(connection, grace)
            yield self._steps(grace, orders, sessions, done_by_this)

    async def _steps(self, grace: timedelta, orders: int, sessions: int, done_by_this: audit.Agenda) -> AuditSteps:
        found = Found()
        yield AuditProgress(what="orders", done=0, of=orders)
        walks = (("orders", audit.next_orders, orders), ("payment sessions", audit.next_strays, sessions))
        for what, next_piece, of in walks:
            after, done = "", 0
            while True:
                async with self._piece() as connection:
                    piece = await next_piece(connection, after)
                if piece.last is None:
                    break
                await self._audit_piece(piece.orders, grace, found)
                after, done = piece.last, done + piece.read
                yield AuditProgress(what=what, done=done, of=max(done, of))
        async with self._piece() as connection:
            sums = await StockSums.begin(connection)
        while not sums.is_read:
            async with self._piece() as connection:
                await sums.read_on(connection)
            yield AuditProgress(what="stock movements", done=sums.read_to, of=sums.end)
        async with self._piece() as connection:
            found.add(4, 0, await sums.differences(connection))
        # Else the next ones, of what is recent, would read through all of the payment service's ledger once more.
        async with self._engine.begin() as connection:
            await audit.note(connection, [], [], done_by_this)
        async with audit.snapshot(self._engine, AUDIT_SECONDS) as connection:
            await audit_standing(connection, grace, found)
            waiting = await audit.how_many_due(connection)
            live = await live_orders(connection, max(grace, _LIVE_GRACE))
        self.last_of_everything = await self._verdict(found, live, whole=True, waiting=waiting)
        yield self.last_of_everything

    async def _audit_piece(self, orders: list[str], grace: timedelta, found: Found) -> None:
        if not orders:
            return
        async with self._piece() as connection:
            wrong = await audit_orders(connection, orders, grace, found)
            seen = await audit.at_rest(connection, orders, grace)
        async with self._engine.begin() as connection:
            await audit.note(connection, seen, wrong)

    @asynccontextmanager
    async def _piece(self) -> AsyncIterator[AsyncConnection]:
        """A snapshot for one piece of the work; after the block, a rest as long as the block took."""
        began = time.monotonic()
        async with audit.snapshot(self._engine, AUDIT_SECONDS) as connection:
            yield connection
        await asyncio.sleep(time.monotonic() - began)

    async def _verdict(self, found: Found, live: list[UnsettledOrder], *, whole: bool, waiting: int) -> AuditOut:
        orders = sum(found.outcomes.values())
        workflows = await _audit_workflows(self._engine, self._client, live)
        findings = [*found.sorted(), workflows, Finding(11, orders)]
        return AuditOut(
            ok=not any(finding.violations for finding in findings),
            checked_at=datetime.now(UTC),
            whole=whole,
            orders=orders,
            waiting=waiting,
            invariants=[InvariantOut(name=one.name, ok=not one.violations, **vars(one)) for one in findings],
            outcomes=dict(sorted(found.outcomes.items())),
        )


async def _audit_workflows(engine: AsyncEngine, client: Client, live: list[UnsettledOrder]) -> Finding:
    """The listing may lag behind, so whatever looks wrong in it is asked for by id before it counts."""
    listed = await running_workflows(client)
    violations = []
    for order in live:
        try:
            if not await is_looked_after(client, order, listed):
                violations.append(f"order {order.order_id} is live and no workflow looks after it")
        except RPCError as error:
            violations.append(f"order {order.order_id} is live, and Temporal cannot say who looks after it: {error}")
    unexpected = without_live_order(listed, live)
    if unexpected:
        async with engine.connect() as connection:
            ended = await ended_keys(connection, unexpected)
        told = "the order of key {} has ended, its workflow runs on until the next sweep"
        violations += [told.format(key) for key in ended if await _runs(client, key)]
    return Finding(10, len(live) + len(unexpected), violations)


async def _runs(client: Client, workflow_id: str) -> bool:
    """Whether the workflow runs; True while Temporal cannot say."""
    with contextlib.suppress(RPCError):
        return await is_running(client, workflow_id)
    return True
