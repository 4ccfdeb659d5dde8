"""The audit of a live system: both ledgers from PostgreSQL, and the running workflows from Temporal."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from api.schemas import AuditOut, InvariantOut
from checkout.ids import is_settlement, keepers_of
from db.audit import Finding, LiveOrder, audit_ledgers, ended_keys, live_orders_now, outcomes

AUDIT_SECONDS = 60.0  # each of its statements; `engine` must be as patient
_RUNNING = "ExecutionStatus = 'Running' AND WorkflowType IN ('CheckoutWorkflow', 'SettlementWorkflow')"
_ONE_WORKFLOW = "Every live order has exactly one running workflow, an ended one none"
_NOT_VACUOUS = "Something was there to check"


async def audit(engine: AsyncEngine, client: Client, grace: timedelta) -> AuditOut:
    """Check the invariants. `grace` is how long an order must have been left alone to count as quiet."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        async with connection.begin():
            await connection.execute(text("SET TRANSACTION READ ONLY"))
            await connection.execute(text(f"SET LOCAL statement_timeout = '{AUDIT_SECONDS:.0f}s'"))
            findings = await audit_ledgers(connection, grace)
            counts = await outcomes(connection)
            live = await live_orders_now(connection, max(grace, timedelta(seconds=5)))
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


async def _audit_workflows(engine: AsyncEngine, client: Client, live: list[LiveOrder]) -> Finding:
    """The listing may lag behind, so whatever looks wrong in it is asked for by id before it counts."""
    listed = {execution.id async for execution in client.list_workflows(_RUNNING, page_size=1000)}
    violations = []
    for order in live:
        keepers = keepers_of(order.checkout_key, order.order_id, order.session_id)
        if listed.isdisjoint(keepers) and True not in [await _is_running(client, one) for one in keepers]:
            violations.append(f"order {order.order_id} is live and no workflow looks after it")
    unexpected = {one for one in listed if not is_settlement(one)} - {order.checkout_key for order in live}
    if unexpected:
        async with engine.connect() as connection:
            ended = await ended_keys(connection, list(unexpected))
        running = [key for key in ended if await _is_running(client, key)]
        violations += [f"the order of key {key} has ended, its workflow runs on" for key in running]
    return Finding(10, _ONE_WORKFLOW, len(live) + len(unexpected), violations)


async def _is_running(client: Client, workflow_id: str) -> bool:
    try:
        description = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=timedelta(seconds=3))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return description.status is WorkflowExecutionStatus.RUNNING
