"""The safety net: what nobody looks after is found, and what somebody looks after is left alone."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import ActivityEnvironment

from checkout.errors import PaymentUnreachable
from checkout.ids import settlement_workflow_id
from checkout.orders import OrderStatus, Reason
from checkout.sessions import SessionStatus
from db import orders
from tests.support.eventually import eventually
from tests.support.healthy_shop import run
from tests.support.orders import awaiting, scalar
from tests.support.provider import always
from tests.support.rig import Rig
from worker.activities.settlements import SettlementActivities
from worker.looked_after import running_workflows


async def test_a_paid_order_whose_workflow_was_terminated_is_fulfilled(rig: Rig) -> None:
    key, order_id, session_id = await rig.bought()
    await rig.terminate(key)
    rig.provider.pay(session_id)
    assert (await rig.sweep()).settlements_started == 1
    # At once, not at the order's deadline in a quarter of an hour: the event went down with the workflow.
    await rig.until(order_id, OrderStatus.FULFILLED, OrderStatus.DISPATCHED)


async def test_a_crowd_of_healthy_orders_does_not_hide_an_orphan(rig: Rig) -> None:
    for _ in range(3):
        await rig.bought()
    key, _, _ = await rig.bought()
    await rig.terminate(key)
    assert (await rig.sweep(batch=1)).settlements_started == 1


async def test_an_order_that_is_looked_after_is_left_alone(rig: Rig) -> None:
    _, _, session_id = await rig.bought()
    result = await rig.sweep()
    assert (result.live_orders, result.settlements_started) == (1, 0)
    assert not await rig.is_known(settlement_workflow_id(session_id))


async def test_an_order_that_a_settlement_looks_after_is_left_alone(rig: Rig) -> None:
    key, _, _ = await rig.bought()
    await rig.terminate(key)
    assert (await rig.sweep()).settlements_started == 1
    assert (await rig.sweep()).settlements_started == 0


async def test_an_order_as_young_as_the_grace_is_left_alone(rig: Rig) -> None:
    key, _, _ = await rig.bought()
    await rig.terminate(key)
    assert (await rig.sweep(grace=60)).live_orders == 0


async def owed(rig: Rig) -> tuple[str, str]:
    """Money that came late, and that the provider does not take back for the time being: order id and session id."""
    key, order_id, session_id = await rig.bought()
    assert (await rig.cancel(order_id)).status_code == 200
    await rig.temporal.get_workflow_handle(key).result()
    rig.provider.fail["refund"] = always(PaymentUnreachable("away"))
    rig.provider.force_pay(session_id)
    assert (await rig.tell(session_id, key)).status_code == 200

    async def is_written_down() -> bool:
        statement = "SELECT count(*) FROM shop.orders WHERE id = :id AND payment_intent_id IS NOT NULL"
        return bool(await scalar(rig.engine, statement, id=order_id))

    await eventually(is_written_down, what="the debt in the order's row")
    return order_id, session_id


async def fall_due(rig: Rig) -> None:
    """The time has come for all that stands open to be looked at."""
    async with rig.engine.begin() as connection:
        await connection.execute(text("UPDATE shop.payments SET look_at = now() WHERE look_at IS NOT NULL"))


async def how_many_due(rig: Rig) -> int:
    return int(await scalar(rig.engine, "SELECT count(*) FROM shop.payments WHERE look_at <= now()"))


async def test_a_crowd_of_debts_does_not_hide_a_lost_one(rig: Rig) -> None:
    debts = [await owed(rig) for _ in range(2)]
    lost = debts[1][1]
    await rig.terminate(settlement_workflow_id(lost))
    await fall_due(rig)

    async def is_found() -> bool:
        assert (await rig.sweep(batch=1)).payments_looked_at <= 1
        if await how_many_due(rig) > 0:
            return False
        if settlement_workflow_id(f"pi_{lost}") in await running_workflows(rig.temporal):
            return True
        await fall_due(rig)  # the step that the lost one was at has put it off itself
        return False

    await eventually(is_found, within=30, what="the lost one being found")
    # To the end, or it would be the next test's provider that gives it back: they share the Temporal.
    rig.provider.fail.clear()
    for order_id, _ in debts:
        await rig.until(order_id, OrderStatus.REFUNDED)


async def test_money_that_is_owed_for_an_ended_order_is_given_back_though_its_settlement_is_lost(rig: Rig) -> None:
    order_id, session_id = await owed(rig)
    await rig.terminate(settlement_workflow_id(session_id))
    assert (await rig.sweep()).payments_looked_at == 0, "a moment ago"
    rig.provider.fail.clear()
    await fall_due(rig)
    assert (await rig.sweep()).payments_looked_at == 1
    await rig.until(order_id, OrderStatus.REFUNDED)
    assert rig.provider.refunded.count(f"pi_{session_id}") == 1
    await fall_due(rig)
    assert (await rig.sweep()).payments_looked_at == 0


async def test_a_refund_of_the_dashboard_of_which_no_event_came_is_found_at_the_payments_next_check(rig: Rig) -> None:
    _, order_id, session_id = await rig.bought()
    rig.provider.pay(session_id)
    assert (await rig.tell(session_id)).status_code == 200
    await rig.until(order_id, OrderStatus.FULFILLED, OrderStatus.DISPATCHED)
    rig.provider.refund_elsewhere(f"pi_{session_id}")
    assert (await rig.sweep()).payments_looked_at == 0, "nothing stands open"
    async with rig.engine.begin() as connection:
        await connection.execute(text("UPDATE shop.payments SET check_at = now()"))
    assert (await rig.sweep()).payments_looked_at == 1
    await rig.until(order_id, OrderStatus.REFUNDED)
    assert (await rig.sweep()).payments_looked_at == 0, "once"


async def test_an_overdue_order_is_dispatched_by_the_sweep_as_well(rig: Rig) -> None:
    order = await awaiting(rig.engine, "parcel")
    async with rig.engine.begin() as connection:
        await orders.fulfil_order(connection, order.order_id, "pi_1", timedelta(0))
    assert (await rig.sweep()).dispatched == 1
    await rig.until(order.order_id, OrderStatus.DISPATCHED)


async def test_an_order_whose_settlement_began_before_it_had_a_session_gets_no_second_one(rig: Rig) -> None:
    """The settlement goes by the order's name then, though a session is recorded meanwhile."""
    rig.provider.fail["create"] = always(PaymentUnreachable("away"))
    buying = asyncio.create_task(rig.buy("orphan"))
    await eventually(lambda: "create" in rig.provider.calls)
    await rig.terminate("orphan")
    assert (await rig.sweep()).settlements_started == 1
    rig.provider.fail.clear()
    order_id = (await buying).json()["order_id"]
    await rig.until(order_id, OrderStatus.AWAITING_PAYMENT)
    assert (await rig.sweep()).settlements_started == 0


async def test_the_listing_shows_settlements_too(rig: Rig) -> None:
    key, _, session_id = await rig.bought()
    await rig.terminate(key)
    assert (await rig.sweep()).settlements_started == 1

    async def is_listed() -> bool:
        return settlement_workflow_id(session_id) in await running_workflows(rig.temporal)

    await eventually(is_listed, what="the settlement in the listing")


async def _out_of_time(_: object) -> None:
    """The worker stops before anything is handed over."""
    raise asyncio.CancelledError


async def test_parcels_do_not_wait_for_orphans(rig: Rig) -> None:
    order = await awaiting(rig.engine, "parcel")
    async with rig.engine.begin() as connection:
        await orders.fulfil_order(connection, order.order_id, "pi_1", timedelta(0))
    key, _, _ = await rig.bought()
    await rig.terminate(key)
    activities = SettlementActivities(rig.engine, rig.temporal, _out_of_time, grace=0)
    with pytest.raises(asyncio.CancelledError):
        await ActivityEnvironment().run(activities.sweep_orders)
    await rig.until(order.order_id, OrderStatus.DISPATCHED)


async def test_cancelling_an_order_that_lost_its_workflow_closes_the_session_first(rig: Rig) -> None:
    key, order_id, session_id = await rig.bought()
    await rig.temporal.get_workflow_handle(key).terminate()
    answer = await rig.cancel(order_id)
    assert (answer.status_code, answer.json()["reason"]) == (200, "customer")
    assert rig.provider.sessions[session_id].status is SessionStatus.EXPIRED


@pytest.mark.parametrize("end", ["paid", "expired"])
async def test_a_checkout_that_was_restored_after_its_order_had_ended_ends_too(rig: Rig, end: str) -> None:
    """Temporal's store is an old one: what was told to the checkout since then, it has never heard."""
    key, order_id, session_id = await rig.bought()
    live, _, _ = await rig.bought()
    if end == "paid":
        rig.provider.pay(session_id)
        async with rig.engine.begin() as connection:
            await orders.fulfil_order(connection, order_id, f"pi_{session_id}", timedelta(hours=1))
    else:
        await rig.provider.expire_session(session_id)
        async with rig.engine.begin() as connection:
            leaving = [OrderStatus.AWAITING_PAYMENT]
            await orders.close_order(connection, order_id, OrderStatus.CANCELLED, Reason.TIMEOUT, leaving=leaving)
    await run(rig.engine, "UPDATE shop.orders SET updated_at = now() - interval '1 minute'")

    async def is_listed() -> bool:
        return {key, live} <= await running_workflows(rig.temporal)

    await eventually(is_listed, what="the workflows in the listing")
    await rig.sweep()
    result = await asyncio.wait_for(rig.temporal.get_workflow_handle(key).result(), 20)
    assert result["status"] == (await rig.order(order_id)).status
    assert rig.provider.refunded == []
    assert (await rig.temporal.get_workflow_handle(live).describe()).status is WorkflowExecutionStatus.RUNNING
