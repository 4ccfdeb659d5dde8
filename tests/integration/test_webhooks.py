"""Events from the payment service: hints to look, taken once, never lost, never believed."""

import asyncio
import socket

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api.hints import SessionEvent, deliver
from checkout.ids import settlement_workflow_id
from checkout.orders import OrderStatus, Reason
from runtime.connection import data_converter
from tests.support.eventually import eventually
from tests.support.proxy import TcpProxy
from tests.support.rig import Rig, gateway, settings_for
from worker.workflows.checkout import CheckoutWorkflow


# The first is longer than Temporal takes as a workflow's id.
@pytest.mark.parametrize("session_id", ["x" * 2000, "cs_\0", "cs/../1", "cs 1\n", ".."])
async def test_a_session_id_that_can_be_none_does_not_stop_the_checkout(rig: Rig, session_id: str) -> None:
    key, order_id, own = await rig.bought()
    handle = rig.temporal.get_workflow_handle_for(CheckoutWorkflow.run, key)
    await handle.signal(CheckoutWorkflow.payment_event, args=["evt_odd", session_id])
    rig.provider.pay(own)
    assert (await rig.tell(own, key)).status_code == 200
    await rig.until(order_id, OrderStatus.FULFILLED, OrderStatus.DISPATCHED)
    assert (await handle.result()).status is OrderStatus.FULFILLED


async def test_an_event_about_a_session_that_nobody_knows_comes_to_nothing(rig: Rig) -> None:
    assert (await rig.tell("cs_of_nobody")).status_code == 200
    result = await rig.temporal.get_workflow_handle(settlement_workflow_id("cs_of_nobody")).result()
    assert result is None
    assert (rig.provider.calls, rig.provider.refunded) == (["retrieve"], [])


async def test_an_event_while_temporal_is_away_is_503_so_that_it_is_sent_again(database_url: str, rig: Rig) -> None:
    key, _, session_id = await rig.bought()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with gateway(settings_for(database_url, nobody.getsockname()[1])) as cut_off:
            lonely = Rig(rig.settings, rig.engine, rig.temporal, cut_off)
            assert (await lonely.tell(session_id, key, once=True)).status_code == 503
            assert (await lonely.tell("cs_unknown", once=True)).status_code == 503


async def test_an_event_that_temporal_does_not_take_is_an_error_so_that_it_is_sent_again(rig: Rig) -> None:
    """`api.problems` makes a 503 of it."""
    key, _, session_id = await rig.bought()
    event = SessionEvent("evt_1", "checkout.session.completed", session_id, key)
    async with TcpProxy("127.0.0.1", rig.settings.temporal_port) as between:
        client = await Client.connect(f"127.0.0.1:{between.port}", data_converter=data_converter())
        between.blackhole()
        with pytest.raises(RPCError) as refusal:
            await deliver(event, client, rig.engine)
    assert refusal.value.status is not RPCStatusCode.NOT_FOUND


async def test_an_event_sent_again_and_again_leaves_one_trace_in_the_history(rig: Rig) -> None:
    key, _, session_id = await rig.bought()
    event = SessionEvent("evt_1", "checkout.session.completed", session_id, key)
    await asyncio.gather(*(deliver(event, rig.temporal, rig.engine) for _ in range(30)))
    history = await rig.temporal.get_workflow_handle(key).fetch_history()
    assert sum(event.HasField("workflow_execution_signaled_event_attributes") for event in history.events) == 1


async def test_a_paid_checkout_is_fulfilled_by_the_event_alone(rig: Rig) -> None:
    key, order_id, session_id = await rig.bought()
    rig.provider.pay(session_id)
    assert (await rig.tell(session_id, key)).status_code == 200
    await rig.until(order_id, OrderStatus.FULFILLED, OrderStatus.DISPATCHED)


async def test_an_event_told_again_for_a_fulfilled_order_starts_nothing(rig: Rig) -> None:
    key, _, session_id = await rig.bought()
    rig.provider.pay(session_id)
    await rig.tell(session_id, key)
    await rig.temporal.get_workflow_handle(key).result()
    assert (await rig.tell(session_id, key)).status_code == 200
    assert not await rig.is_known(settlement_workflow_id(session_id))


async def test_money_given_back_in_the_providers_dashboard_ends_the_order_as_refunded(rig: Rig) -> None:
    key, order_id, session_id = await rig.bought()
    rig.provider.pay(session_id)
    await rig.tell(session_id, key)
    await rig.temporal.get_workflow_handle(key).result()
    intent = f"pi_{session_id}"
    rig.provider.refund_elsewhere(intent)
    assert (await rig.tell_refund(intent)).status_code == 200
    order = await rig.until(order_id, OrderStatus.REFUNDED)
    assert order.reason is Reason.OPERATOR
    settlement = rig.temporal.get_workflow_handle(settlement_workflow_id(intent))
    first = (await settlement.describe()).run_id
    assert (await rig.tell_refund(intent)).status_code == 200
    assert (await settlement.describe()).run_id == first, "of a refund that is known, nothing is started"


async def test_money_given_back_while_its_checkout_decides_is_noticed_once_it_has(rig: Rig) -> None:
    key, order_id, session_id = await rig.bought()
    rig.provider.pay(session_id)
    intent = f"pi_{session_id}"
    rig.provider.refund_elsewhere(intent)
    assert (await rig.tell_refund(intent)).status_code == 200
    settlement = rig.temporal.get_workflow_handle(settlement_workflow_id(intent))

    async def has_looked() -> bool:
        return any(one.HasField("timer_started_event_attributes") for one in (await settlement.fetch_history()).events)

    await eventually(has_looked, what="the settlement waits for the order")
    await rig.tell(session_id, key)
    await rig.until(order_id, OrderStatus.REFUNDED)


async def test_the_providers_word_counts_not_the_event_that_tells_of_a_refund(rig: Rig) -> None:
    key, order_id, session_id = await rig.bought()
    rig.provider.pay(session_id)
    await rig.tell(session_id, key)
    await rig.temporal.get_workflow_handle(key).result()
    intent = f"pi_{session_id}"
    assert (await rig.tell_refund(intent)).status_code == 200
    await rig.temporal.get_workflow_handle(settlement_workflow_id(intent)).result()
    assert (await rig.order(order_id)).status.is_kept
    assert (await rig.tell_refund("pi_of_somebody_else")).status_code == 200
    assert await rig.temporal.get_workflow_handle(settlement_workflow_id("pi_of_somebody_else")).result() is None
