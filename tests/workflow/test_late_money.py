"""Money that comes when the order has ended, or is about to: given back, once, whatever gets in the way."""

from sqlalchemy import text

from checkout.errors import PaymentRefused, PaymentUnknown
from checkout.orders import OrderStatus, Reason
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
            leaving=[OrderStatus.AWAITING_PAYMENT],
        )


async def test_a_payment_of_an_order_that_another_hand_cancelled_is_given_back(lab: Lab) -> None:
    handle, order, session_id = await lab.opened()
    await close_behind_its_back(lab, order.order_id)
    lab.provider.pay(session_id)
    await lab.tell(handle)
    result = await handle.result()
    assert (result.status, result.reason) == (OrderStatus.REFUNDED, Reason.LATE_PAYMENT)
    assert lab.provider.refunded == [f"pi_{session_id}"]


async def test_a_payment_that_is_quicker_than_the_closing_of_an_ended_orders_session_is_given_back(lab: Lab) -> None:
    """The order has ended, its session is still open, and is paid while the key's next checkout closes it."""
    handle, order, _ = await lab.opened()
    await close_behind_its_back(lab, order.order_id)
    await handle.terminate()
    lab.provider.on_expire = lab.provider.pay
    again = await lab.start(key=handle.id)
    result = await again.result()
    assert (result.order_id, result.status, result.reason) == (
        order.order_id,
        OrderStatus.REFUNDED,
        Reason.LATE_PAYMENT,
    )


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


async def test_money_after_the_cancel_is_given_back_once_however_often_it_is_told(lab: Lab) -> None:
    order_id, session_id = await lab.cancelled()
    lab.provider.force_pay(session_id)
    for _ in range(3):
        result = await lab.settle(session_id)
        assert result is not None
        assert (result.status, result.reason) == (OrderStatus.REFUNDED, Reason.LATE_PAYMENT)
    assert lab.provider.refunded == [f"pi_{session_id}"]
    assert (await lab.kinds(order_id)).count("refunded") == 1
    assert await lab.on_hand() == 100_000


async def test_an_ended_orders_own_session_is_not_taken_for_unknown(lab: Lab) -> None:
    """A key of another account, say, is told that there is no such session: the money lies there all the same."""
    order_id, session_id = await lab.cancelled()
    lab.provider.force_pay(session_id)
    lab.provider.fail["retrieve"] = times(3, PaymentUnknown("no such session"))
    result = await lab.settle(session_id, order_id)
    assert result is not None
    assert (result.status, result.reason) == (OrderStatus.REFUNDED, Reason.LATE_PAYMENT)


async def test_money_for_an_order_that_another_hand_has_cancelled_is_given_back_though_refused_at_first(
    lab: Lab,
) -> None:
    handle, order, session_id = await lab.opened()
    async with lab.engine.begin() as connection:
        await orders.close_order(
            connection, order.order_id, OrderStatus.CANCELLED, Reason.OPERATOR, leaving=[OrderStatus.AWAITING_PAYMENT]
        )
    lab.provider.pay(session_id)
    lab.provider.fail["refund"] = times(2, PaymentRefused("401"))
    await lab.tell(handle)
    result = await handle.result()
    assert (result.status, result.reason) == (OrderStatus.REFUNDED, Reason.LATE_PAYMENT)
