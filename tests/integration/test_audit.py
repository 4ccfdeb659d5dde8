"""The auditor: silent on a healthy shop, and tripped by each planted violation of each invariant.

Most of what is planted here is refused by the tables themselves. So every guard is off while it is planted (triggers,
foreign keys; constraints are dropped): the auditor must see what a database without guards would let happen.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.audit import Auditor
from checkout.ids import CHECKOUT_WORKFLOW, TASK_QUEUE
from db.audit import audit_ledgers
from db.engine import create_engine
from db.invariants import CHECKS, MAX_VIOLATIONS, Finding
from tests.support.databases import DatabaseServer, migrate_payments
from tests.support.healthy_shop import make_healthy_shop, open_order, run
from tests.support.stacks import running_stack
from tests.support.unhealthy_shop import ALLOW_TWO_CHARGES, PLANTED, money

NO_GRACE = timedelta(0)


async def verdict(engine: AsyncEngine, grace: timedelta = NO_GRACE) -> dict[int, Finding]:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        async with connection.begin():
            return {finding.number: finding for finding in await audit_ledgers(connection, grace)}


def tripped(findings: dict[int, Finding]) -> dict[int, list[str]]:
    return {number: finding.violations for number, finding in findings.items() if finding.violations}


@pytest.fixture(scope="module")
async def template(database_server: DatabaseServer) -> AsyncIterator[str]:
    """The name of a database with a healthy shop, one order of every kind: made once, copied for every test."""
    async with database_server.copy() as url:
        engine = create_engine(url)
        await make_healthy_shop(engine)
        await engine.dispose()
        yield url.rpartition("/")[2]


async def test_a_healthy_shop_has_no_findings_and_everything_was_looked_at(prepared: AsyncEngine) -> None:
    findings = await verdict(prepared)
    assert tripped(findings) == {}
    assert sorted(findings) == list(range(1, 10))
    assert all(finding.checked > 0 for finding in findings.values())


@pytest.mark.parametrize(("number", "what", "statements"), PLANTED, ids=[f"{n}: {what}" for n, what, _ in PLANTED])
async def test_it_is_tripped_by(prepared: AsyncEngine, number: int, what: str, statements: list[str]) -> None:
    await run(prepared, *statements)
    assert number in tripped(await verdict(prepared)), what


def test_something_is_planted_for_every_invariant_of_the_ledgers() -> None:
    assert {number for number, _, _ in PLANTED} == {check.number for check in CHECKS}


async def test_what_is_still_under_way_counts_only_after_its_grace_but_stock_and_double_charges_always(
    prepared: AsyncEngine,
) -> None:
    hour = timedelta(hours=1)
    await run(prepared, money("live"))  # paid, the webhook is on its way
    assert set(tripped(await verdict(prepared))) == {2}
    assert tripped(await verdict(prepared, hour)) == {}
    await run(prepared, ALLOW_TWO_CHARGES, money("live"))
    await run(prepared, "UPDATE shop.products SET on_hand = on_hand - 1 WHERE sku = 'pen'")
    assert set(tripped(await verdict(prepared, hour))) == {1, 4}


async def test_a_flood_of_violations_is_capped(prepared: AsyncEngine) -> None:
    await run(
        prepared,
        "INSERT INTO shop.products (sku, name, unit_amount, currency, on_hand)"
        " SELECT 'bulk-' || n, 'x', 1, 'usd', 1 FROM generate_series(1, 300) n",
    )
    assert len(tripped(await verdict(prepared))[4]) == MAX_VIOLATIONS


async def test_without_the_mocks_ledger_the_money_is_reported_as_not_looked_at(engine: AsyncEngine) -> None:
    await open_order(engine, "live")
    findings = await verdict(engine)
    assert tripped(findings) == {}
    assert {number: findings[number].checked for number in (1, 2, 5)} == {1: 0, 2: 1, 5: 0}


@pytest.fixture(scope="module")
async def temporal() -> AsyncIterator[Client]:
    async with running_stack("temporal") as stack:
        yield await Client.connect(stack.urls["temporal"])


async def whole_verdict(engine: AsyncEngine, temporal: Client) -> dict[int, list[str]]:
    out = await Auditor(engine, temporal).recent(NO_GRACE)
    assert out.ok is not any(invariant.violations for invariant in out.invariants)
    return {invariant.number: invariant.violations for invariant in out.invariants if invariant.violations}


async def test_a_live_order_that_no_workflow_looks_after_trips_it(prepared: AsyncEngine, temporal: Client) -> None:
    await run(prepared, "UPDATE shop.orders SET created_at = now() - interval '1 minute' WHERE checkout_key = 'live'")
    found = await whole_verdict(prepared, temporal)
    assert list(found) == [10]
    assert "no workflow looks after it" in found[10][0]


@pytest.mark.parametrize("workflow_id", ["live", "settle:cs_live", "settle:{order_id}"])
async def test_a_live_order_with_its_workflow_or_settlement_is_looked_after(
    prepared: AsyncEngine, temporal: Client, workflow_id: str
) -> None:
    await run(prepared, "UPDATE shop.orders SET created_at = now() - interval '1 minute' WHERE checkout_key = 'live'")
    async with prepared.connect() as connection:
        order_id = (await connection.execute(text("SELECT id FROM shop.orders WHERE checkout_key = 'live'"))).scalar()
    workflow_id = workflow_id.format(order_id=order_id)
    handle = await temporal.start_workflow(CHECKOUT_WORKFLOW, id=workflow_id, task_queue=TASK_QUEUE)
    try:
        assert await whole_verdict(prepared, temporal) == {}
    finally:
        await handle.terminate()


async def test_an_ended_order_whose_workflow_runs_on_trips_it(prepared: AsyncEngine, temporal: Client) -> None:
    await run(prepared, "UPDATE shop.orders SET updated_at = now() - interval '1 hour' WHERE checkout_key = 'gone'")
    start = partial(temporal.start_workflow, CHECKOUT_WORKFLOW, task_queue=TASK_QUEUE)
    handles = [await start(id=key) for key in ("live", "gone")]
    try:
        found: dict[int, list[str]] = {}
        while not found:  # the list of workflows lags behind; pytest's timeout ends this
            found = await whole_verdict(prepared, temporal)
    finally:
        for handle in handles:
            await handle.terminate()
    assert found == {10: ["the order of key gone has ended, its workflow runs on until the next sweep"]}


async def test_it_says_how_many_orders_it_saw_so_that_nobody_trusts_an_empty_shop(
    engine: AsyncEngine, temporal: Client
) -> None:
    await migrate_payments(engine)
    out = await Auditor(engine, temporal).recent(NO_GRACE)
    assert (out.orders, next(one.checked for one in out.invariants if one.number == 11)) == (0, 0)
