"""The audit of a live system: both ledgers from PostgreSQL, and the running workflows from Temporal."""

import contextlib
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError

from api.schemas import AuditOut, InvariantOut
from checkout.ids import is_settlement
from db.audit import Finding, audit_ledgers, outcomes, snapshot
from db.order_queries import UnsettledOrder, ended_keys, live_orders
from worker.keepers import is_looked_after, is_running, running_workflows

AUDIT_SECONDS = 60.0  # each of its statements; `engine` must be as patient
_ONE_WORKFLOW = "Every live order has exactly one running workflow, an ended one none"
_NOT_VACUOUS = "Something was there to check"


async def audit(engine: AsyncEngine, client: Client, grace: timedelta) -> AuditOut:
    """Check the invariants. `grace` is how long an order must have been left alone to count as quiet."""
    async with snapshot(engine, AUDIT_SECONDS) as connection:
        findings = await audit_ledgers(connection, grace)
        counts = await outcomes(connection)
        live = await live_orders(connection, max(grace, timedelta(seconds=5)))
    findings.append(await _audit_workflows(engine, client, live))
    total = sum(counts.values())
    findings.append(Finding(11, _NOT_VACUOUS, total, []))
    invariants = [
        InvariantOut(number=f.number, name=f.name, ok=not f.violations, checked=f.checked, violations=f.violations)
        for f in findings
    ]
    return AuditOut(
        ok=all(invariant.ok for invariant in invariants),
        checked_at=datetime.now(UTC),
        orders=total,
        invariants=invariants,
        outcomes=counts,
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
    unexpected = {one for one in listed if not is_settlement(one)} - {order.checkout_key for order in live}
    if unexpected:
        async with engine.connect() as connection:
            ended = await ended_keys(connection, unexpected)
        running = [key for key in ended if await _is_running(client, key)]
        violations += [
            f"the order of key {key} has ended, its workflow runs on until the next sweep" for key in running
        ]
    return Finding(10, _ONE_WORKFLOW, len(live) + len(unexpected), violations)


async def _is_running(client: Client, workflow_id: str) -> bool:
    """Unless Temporal says that it has ended: it is listed as running."""
    with contextlib.suppress(RPCError):
        return await is_running(client, workflow_id)
    return True
