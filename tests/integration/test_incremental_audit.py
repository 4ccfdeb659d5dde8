"""What an audit need not read again, and how little can escape it all the same.

Nobody patrols here (`patrol=0`), unless a test is about that: what is found is found because it was noted.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.audit import Auditor, AuditOut, AuditProgress
from api.problems import Problem
from checkout.ids import CHECKOUT_WORKFLOW, TASK_QUEUE
from checkout.orders import Reason
from checkout.payments import PaymentState, ProviderPayment
from db import audit, ledger
from db.engine import create_engine
from tests.support.databases import DatabaseServer
from tests.support.healthy_shop import KEYS, TOTAL, make_healthy_shop, run, run_noted
from tests.support.orders import scalar
from tests.support.stacks import running_stack
from tests.support.unhealthy_shop import PLANTED, WHOLE_ONLY, money

NO_GRACE = timedelta(0)
# With all triggers off, or in the payment service's own tables.
SILENT = {*WHOLE_ONLY, "a cancelled order that still holds stock", "an order that left its end"}


@pytest.fixture(scope="module")
async def template(database_server: DatabaseServer, temporal: Client) -> AsyncIterator[str]:
    """The name of a database with a healthy shop, one order of every kind, all of it paid long ago and audited."""
    async with database_server.copy() as url:
        engine = create_engine(url)
        await make_healthy_shop(engine)
        await run(engine, "UPDATE payments.ledger SET at = at - interval '1 hour'")
        assert (await Auditor(engine, temporal, patrol=0).recent(NO_GRACE)).ok
        await engine.dispose()
        yield url.rpartition("/")[2]


@pytest.fixture(scope="module")
async def temporal() -> AsyncIterator[Client]:
    async with running_stack("temporal") as stack:
        client = await Client.connect(stack.urls["temporal"])
        await client.start_workflow(CHECKOUT_WORKFLOW, id="live", task_queue=TASK_QUEUE)
        yield client


@pytest.fixture
def auditor(prepared: AsyncEngine, temporal: Client) -> Auditor:
    return Auditor(prepared, temporal, patrol=0)


def tripped(verdict: AuditOut) -> set[int]:
    return {one.number for one in verdict.invariants if one.violations}


async def due(engine: AsyncEngine) -> set[str]:
    """The keys of the orders that are due, and what is due without an order."""
    async with engine.connect() as connection:
        statement = text(
            "SELECT coalesce(o.checkout_key, d.order_id) FROM shop.audit_due d LEFT JOIN shop.orders o"
            " ON o.id = d.order_id"
        )
        return set((await connection.scalars(statement)).all())


async def order_id(engine: AsyncEngine, key: str) -> str:
    async with engine.connect() as connection:
        statement = text("SELECT id FROM shop.orders WHERE checkout_key = :key")
        return str(await connection.scalar(statement, {"key": key}))


async def test_an_ended_order_that_was_found_in_order_is_not_read_again(
    prepared: AsyncEngine, auditor: Auditor
) -> None:
    assert await due(prepared) == {"live"}
    verdict = await auditor.recent(NO_GRACE)
    assert (verdict.ok, verdict.whole, verdict.outcomes) == (True, False, {"awaiting_payment": 1})
    assert (await auditor.everything(NO_GRACE)).orders == len(KEYS)


@pytest.mark.parametrize(
    ("number", "what", "statements"),
    [planted for planted in PLANTED if planted[1] not in WHOLE_ONLY],
    ids=[f"{number}: {what}" for number, what, _ in PLANTED if what not in WHOLE_ONLY],
)
async def test_a_violation_planted_in_an_audited_order_is_found_by_the_next_audit_and_by_every_one_after_it(
    prepared: AsyncEngine, auditor: Auditor, number: int, what: str, statements: list[str]
) -> None:
    await run_noted(prepared, *statements)
    assert number in tripped(await auditor.recent(NO_GRACE)), what
    assert number in tripped(await auditor.recent(NO_GRACE)), what


@pytest.mark.parametrize(
    ("number", "what", "statements"),
    [planted for planted in PLANTED if planted[1] in SILENT],
    ids=[f"{number}: {what}" for number, what, _ in PLANTED if what in SILENT],
)
async def test_an_audit_of_everything_finds_also_what_told_nobody(
    prepared: AsyncEngine, auditor: Auditor, number: int, what: str, statements: list[str]
) -> None:
    await run(prepared, *statements)
    assert number not in tripped(await auditor.recent(NO_GRACE))
    assert number in tripped(await auditor.everything(NO_GRACE)), what
    assert number in tripped(await auditor.recent(NO_GRACE)), "once it is found, it is looked at until it is mended"


async def test_after_an_audit_of_everything_the_old_ledger_is_not_read_once_more(
    prepared: AsyncEngine, auditor: Auditor
) -> None:
    async with prepared.begin() as connection:
        await connection.execute(text("UPDATE shop.audit_state SET ledger_read_to = now() - interval '1 year'"))
    await auditor.everything(NO_GRACE)
    assert await scalar(prepared, "SELECT now() - ledger_read_to < interval '5 minutes' FROM shop.audit_state")


async def test_the_patrol_comes_by_where_nothing_was_noted(prepared: AsyncEngine, temporal: Client) -> None:
    last = "(SELECT max(id) FROM shop.orders WHERE checkout_key <> 'live')"  # the patrol goes by id, and has to walk
    newest = f"(SELECT max(seq) FROM shop.order_events WHERE order_id = {last})"
    await run(prepared, f"DELETE FROM shop.order_events WHERE order_id = {last} AND seq = {newest}")
    auditor = Auditor(prepared, temporal, patrol=2)
    found = [tripped(await auditor.recent(NO_GRACE)) for _ in range(4)]
    assert {8} in found[:3]
    assert found[3] == {8}, "found once, it is looked at until it is mended"


async def test_what_was_mended_is_forgotten(prepared: AsyncEngine, auditor: Auditor) -> None:
    change = "UPDATE shop.order_lines SET unit_amount = unit_amount {} 1 WHERE order_id = :id"
    sent = {"id": await order_id(prepared, "sent")}
    await run_noted(prepared, change.format("+").replace(":id", f"'{sent['id']}'"))
    assert tripped(await auditor.recent(NO_GRACE)) == {7}
    assert await due(prepared) == {"live", "sent"}
    await run(prepared, change.format("-").replace(":id", f"'{sent['id']}'"))
    assert (await auditor.recent(NO_GRACE)).ok
    assert await due(prepared) == {"live"}


async def test_money_that_comes_for_an_order_audited_long_ago_is_seen_although_the_shop_never_heard_of_it(
    prepared: AsyncEngine, auditor: Auditor
) -> None:
    await run(prepared, money("gone"))
    assert await due(prepared) == {"live"}
    verdict = await auditor.recent(NO_GRACE)
    assert tripped(verdict) == {2}
    assert await due(prepared) == {"live", "gone"}


async def test_money_too_young_to_be_judged_is_judged_when_it_is_older(prepared: AsyncEngine, auditor: Auditor) -> None:
    await run(prepared, money("gone"))
    for _ in range(2):
        assert (await auditor.recent(timedelta(hours=1))).ok
    assert tripped(await auditor.recent(NO_GRACE)) == {2}


async def test_a_charge_for_no_order_of_ours_stays_on_the_list(prepared: AsyncEngine, auditor: Auditor) -> None:
    await run(prepared, "UPDATE payments.sessions SET metadata = '{}' WHERE id = 'cs_gone'", money("gone"))
    for _ in range(2):
        assert tripped(await auditor.recent(NO_GRACE)) == {2}
    assert await due(prepared) == {"live", "cs_gone"}


async def test_an_order_that_changes_while_it_is_audited_is_due_again(prepared: AsyncEngine) -> None:
    """Committed between the auditor's snapshot and its note; and not committed yet when it notes."""
    sent, back = await order_id(prepared, "sent"), await order_id(prepared, "back")
    touch = text("UPDATE shop.orders SET client = 'touched' WHERE id = :id")
    await run_noted(prepared, "UPDATE shop.orders SET client = 'before'")
    async with prepared.connect() as snapshot, prepared.connect() as other:
        await snapshot.execution_options(isolation_level="REPEATABLE READ")
        seen = await audit.at_rest(snapshot, [sent, back, await order_id(prepared, "gone")], NO_GRACE)
        assert len(seen) == 3
        async with prepared.begin() as connection:
            await connection.execute(touch, {"id": sent})
        await other.execute(touch, {"id": back})
        async with prepared.begin() as connection:
            await audit.note(connection, seen, [])
        await other.commit()
    assert {"sent", "back"} <= await due(prepared)
    assert "gone" not in await due(prepared)


async def test_an_order_is_due_until_it_has_ended_been_left_alone_and_has_nothing_owed(
    prepared: AsyncEngine, auditor: Auditor
) -> None:
    hour = timedelta(hours=1)
    await run_noted(prepared, "UPDATE shop.orders SET client = 'touched'")
    await auditor.recent(hour)
    assert await due(prepared) == set(KEYS)
    async with prepared.begin() as connection:
        payment = ProviderPayment("pi_late", PaymentState.PAID, TOTAL, "usd")
        await ledger.owe(connection, payment, await order_id(prepared, "gone"), Reason.LATE_PAYMENT)
    await auditor.recent(NO_GRACE)
    assert await due(prepared) == {"live", "gone"}


async def test_more_than_can_be_looked_at_in_one_go_waits_for_the_next(prepared: AsyncEngine, auditor: Auditor) -> None:
    async with prepared.begin() as connection:
        await connection.execute(
            text("INSERT INTO shop.audit_due (order_id) SELECT 'gone-' || n FROM generate_series(1, :many) n"),
            {"many": audit.PIECE + 7},
        )
    assert [(await auditor.recent(NO_GRACE)).waiting for _ in range(3)] == [7, 0, 0]
    assert await due(prepared) == {"live"}


async def test_the_sums_that_are_kept_are_those_of_the_movements_and_an_audit_of_everything_proves_it(
    prepared: AsyncEngine, auditor: Auditor
) -> None:
    async with prepared.begin() as connection:
        await connection.execute(text("SELECT shop.restock('pen', 40), shop.write_off('pen', 2, 'broken')"))
        moved, brought = (
            await connection.execute(text("SELECT moved, brought FROM shop.stock_sums WHERE sku = 'limited-print'"))
        ).one()
    assert (moved, brought) == (6, 10)
    assert (await auditor.everything(NO_GRACE)).ok
    async with prepared.begin() as connection:
        await connection.execute(text("UPDATE shop.stock_sums SET brought = brought + 1 WHERE sku = 'pen'"))
    [violation] = next(one.violations for one in (await auditor.everything(NO_GRACE)).invariants if one.number == 4)
    assert violation == "pen: movements add up to 100038, of them 100038 brought in; kept are 100038 and 100039"


async def test_everything_is_audited_once_at_a_time_whoever_asks_and_tells_how_far_it_is(
    prepared: AsyncEngine, auditor: Auditor, temporal: Client
) -> None:
    elsewhere = Auditor(prepared, temporal)
    async with auditor.whole(NO_GRACE) as steps:
        first = await anext(steps)
        assert isinstance(first, AuditProgress)
        assert (first.what, first.done) == ("orders", 0)
        with pytest.raises(Problem) as refused:
            await elsewhere.everything(NO_GRACE)
        assert (refused.value.status, refused.value.code) == (409, "audit-running")
        assert (await elsewhere.recent(NO_GRACE)).ok, "what is recent can be audited meanwhile"
        told = [step async for step in steps]
    assert {step.what for step in told if isinstance(step, AuditProgress)} == {
        "orders",
        "payment sessions",
        "stock movements",
    }
    assert isinstance(told[-1], AuditOut)
    assert (told[-1].whole, told[-1].ok) == (True, True)
    async with elsewhere.whole(NO_GRACE) as steps:
        await anext(steps)
    assert (await auditor.everything(NO_GRACE)).ok, "who stops listening lets the next one begin"


async def test_an_audit_that_cannot_read_has_not_begun(prepared: AsyncEngine, auditor: Auditor) -> None:
    """Whoever wanted its steps as a stream is answered that it cannot be had, and not with a stream that breaks off."""
    await run(prepared, "ALTER TABLE shop.audit_state RENAME TO gone")
    with pytest.raises(DBAPIError):
        async with auditor.whole(NO_GRACE):
            pytest.fail("it has begun")


async def test_of_many_who_ask_at_once_few_are_audited(auditor: Auditor) -> None:
    under_way = asyncio.create_task(auditor.recent(NO_GRACE))
    for _ in range(2):  # until it reads
        await asyncio.sleep(0)
    verdicts = await asyncio.gather(under_way, *(auditor.recent(NO_GRACE) for _ in range(20)))
    assert len({verdict.checked_at for verdict in verdicts}) == 2
