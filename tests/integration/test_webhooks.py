"""What an event may and may not do, on a real Temporal (planted bugs run these)."""

import pytest

from checkout.contracts import OrderStatus
from checkout.errors import PaymentUnknown
from checkout.ids import settlement_workflow_id
from tests.support.provider import times
from tests.support.rig import Rig
from worker.workflows.checkout import CheckoutWorkflow


# The first is longer than Temporal takes as a workflow's id.
@pytest.mark.parametrize("session_id", ["x" * 2000, "cs_\0", "cs/../1", "cs 1\n", ".."])
async def test_a_session_id_that_can_be_none_does_not_stop_the_checkout(shop: Rig, session_id: str) -> None:
    key, order_id, own = await shop.bought()
    handle = shop.temporal.get_workflow_handle_for(CheckoutWorkflow.run, key)
    await handle.signal(CheckoutWorkflow.payment_event, args=["evt_odd", session_id])
    shop.provider.pay(own)
    assert (await shop.tell(own, key)).status_code == 200
    await shop.until(order_id, OrderStatus.FULFILLED, OrderStatus.DISPATCHED)
    assert (await handle.result()).status is OrderStatus.FULFILLED


async def test_money_for_an_ended_order_is_looked_for_though_the_provider_knows_nothing_of_its_session(
    shop: Rig,
) -> None:
    """So it says, too, to whoever asks with another account's key. The event is taken: it is not sent again."""
    key, order_id, session_id = await shop.bought()
    assert (await shop.cancel(order_id)).status_code == 200
    await shop.temporal.get_workflow_handle(key).result()
    shop.provider.force_pay(session_id)
    shop.provider.fail["retrieve"] = times(1, PaymentUnknown("no such session"))
    assert (await shop.tell(session_id, key)).status_code == 200
    await shop.until(order_id, OrderStatus.REFUNDED)
    assert shop.provider.refunded == [f"pi_{session_id}"]


async def test_an_event_about_a_session_that_nobody_knows_comes_to_nothing(shop: Rig) -> None:
    assert (await shop.tell("cs_of_nobody")).status_code == 200
    result = await shop.temporal.get_workflow_handle(settlement_workflow_id("cs_of_nobody")).result()
    assert result is None
    assert (shop.provider.calls, shop.provider.refunded) == (["retrieve"], [])
