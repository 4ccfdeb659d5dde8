"""What the journey of an order must never let slip, each by the smallest test that notices (planted bugs run these)."""

import asyncio

from sqlalchemy import text

from checkout.errors import PaymentRefused
from checkout.orders import OrderStatus, Reason
from checkout.payments import SessionStatus
from db import orders
from tests.support.eventually import eventually
from tests.support.lab import Lab
from tests.support.provider import times
from worker.workflows.checkout import CheckoutWorkflow


async def close_behind_its_back(lab: Lab, order_id: str) -> None:
    """Another hand, a settlement say, ends the order in the database while its checkout waits."""
    async with lab.engine.begin() as connection:
        await orders.close_order(
            connection,
            order_id,
            OrderStatus.CANCELLED,
            Reason.OPERATOR,
            closes=[OrderStatus.AWAITING_PAYMENT],
        )


async def test_an_event_told_again_is_not_looked_at_again(lab: Lab) -> None:
    handle, _, _ = await lab.opened()
    for seen, event in enumerate(("evt_1", "evt_2"), start=1):
        await lab.tell(handle, event)
        await eventually(lambda seen=seen: lab.provider.calls.count("retrieve") == seen)  # type: ignore[misc]
    for _ in range(3):
        await lab.tell(handle, "evt_1")
    # The next signal is handled after those before it: when it has been looked at, they have had their chance.
    await lab.tell(handle, "evt_3")
    await eventually(lambda: lab.provider.calls.count("retrieve") >= 3)
    await asyncio.sleep(0.3)
    assert lab.provider.calls.count("retrieve") == 3


async def test_a_payment_of_an_order_that_another_hand_cancelled_is_given_back(lab: Lab) -> None:
    handle, order, session_id = await lab.opened()
    await close_behind_its_back(lab, order.order_id)
    lab.provider.pay(session_id)
    await lab.tell(handle)
    result = await handle.result()
    assert (result.status, result.reason) == (OrderStatus.REFUNDED, Reason.LATE_PAYMENT)
    assert lab.provider.refunded == [f"pi_{session_id}"]


async def test_the_deadline_closes_the_session_while_the_stock_is_still_held(lab: Lab) -> None:
    """Expire first: at the moment the provider is asked, the order has given nothing back."""
    handle, order, session_id = await lab.opened()
    stock: list[int] = []

    def look(_: str) -> None:
        stock.append(lab.provider.calls.count("expire"))
        if not lab.provider.sessions[session_id].paid:
            lab.provider.pay(session_id)

    lab.provider.on_expire = look
    await handle.signal(CheckoutWorkflow.cancel)
    assert (await handle.result()).status is OrderStatus.FULFILLED
    assert stock == [1]
    assert lab.provider.sessions[session_id].status is SessionStatus.COMPLETE
    assert lab.provider.refunded == []
    assert (await lab.kinds(order.order_id))[:4] == ["reserved", "awaiting_payment", "paid", "fulfilled"]


async def test_late_money_is_given_back_though_the_first_look_at_it_was_refused(lab: Lab) -> None:
    """A wrong key at the wrong moment: the event has been taken and will not come again."""
    handle, order, session_id = await lab.opened()
    await handle.signal(CheckoutWorkflow.cancel)
    await handle.result()
    lab.provider.force_pay(session_id)
    lab.provider.fail["retrieve"] = times(3, PaymentRefused("401 wrong key"))
    result = await lab.settle(session_id)
    assert result is not None
    assert (result.status, lab.provider.refunded) == (OrderStatus.REFUNDED, [f"pi_{session_id}"])
    assert (await lab.order(order.order_id)).reason is Reason.LATE_PAYMENT


async def test_money_that_comes_while_the_order_is_being_closed_goes_back_too(lab: Lab) -> None:
    """The event is signalled to a checkout that has seen its session expired and only waits for the release."""
    handle, order, session_id = await lab.opened()
    async with lab.engine.begin() as connection:
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text("SELECT 1 FROM shop.products FOR UPDATE"))
        await handle.signal(CheckoutWorkflow.cancel)
        # By then the quick try of the release is over: what it saw before is history, and is not seen again.
        await eventually(lambda: _is_release_retried(lab, handle.id), what="the regular release")
        lab.provider.force_pay(session_id)
        await lab.tell(handle)
    await handle.result()
    assert (await lab.order(order.order_id)).status is OrderStatus.REFUNDED
    assert lab.provider.refunded == [f"pi_{session_id}"]


async def _is_release_retried(lab: Lab, workflow_id: str) -> bool:
    description = await lab.client.get_workflow_handle(workflow_id).describe()
    return any(
        pending.activity_type.name == "release_order" for pending in description.raw_description.pending_activities
    )
