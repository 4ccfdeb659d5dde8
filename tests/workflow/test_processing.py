"""Payments that take days: the stock is kept for them, nobody can give up, and both ends are right."""

import pytest

from checkout.orders import OrderStatus, Reason
from tests.support.eventually import eventually
from tests.support.lab import Handle, Lab
from worker.workflows.checkout import CheckoutWorkflow


async def under_way(lab: Lab) -> tuple[Handle, str, str]:
    """A customer has ordered a bank debit: handle, order id, session id."""
    handle, order, session_id = await lab.opened()
    lab.provider.order_debit(session_id)
    await lab.tell(handle)

    async def is_known() -> bool:
        return (await lab.order(order.order_id)).status is OrderStatus.PAYMENT_PROCESSING

    await eventually(is_known, what="the payment under way")
    return handle, order.order_id, session_id


async def test_a_debit_that_succeeds_days_later_fulfils_the_order(lab: Lab) -> None:
    handle, order_id, session_id = await under_way(lab)
    assert await lab.on_hand() == 99_999
    await lab.environment.sleep(5 * 86_400)
    assert (await lab.order(order_id)).status is OrderStatus.PAYMENT_PROCESSING
    lab.provider.force_pay(session_id)
    await lab.tell(handle)
    assert (await handle.result()).status is OrderStatus.FULFILLED
    assert (await lab.kinds(order_id))[:5] == [
        "reserved",
        "awaiting_payment",
        "payment_processing",
        "paid",
        "fulfilled",
    ]


async def test_a_debit_that_fails_days_later_returns_the_stock(lab: Lab) -> None:
    handle, _, session_id = await under_way(lab)
    await lab.environment.sleep(5 * 86_400)
    lab.provider.debit_fails(session_id)
    await lab.tell(handle)
    result = await handle.result()
    assert (result.status, result.reason) == (OrderStatus.CANCELLED, Reason.PAYMENT_FAILED)
    assert await lab.on_hand() == 100_000
    assert lab.provider.given_back == {}


@pytest.mark.parametrize("by_operator", [False, True])
async def test_nobody_can_give_up_what_a_bank_is_paying(lab: Lab, by_operator: bool) -> None:
    handle, order_id, session_id = await under_way(lab)
    await (handle.cancel() if by_operator else handle.signal(CheckoutWorkflow.cancel))
    await lab.environment.sleep(86_400)
    assert (await lab.order(order_id)).status is OrderStatus.PAYMENT_PROCESSING
    lab.provider.force_pay(session_id)
    await lab.tell(handle)
    assert (await handle.result()).status is OrderStatus.FULFILLED


async def test_a_debit_that_is_never_decided_ends_at_its_own_deadline_and_late_money_goes_back(lab: Lab) -> None:
    handle, order_id, session_id = await under_way(lab)
    result = await handle.result()  # the time is skipped
    assert (result.status, result.reason) == (OrderStatus.CANCELLED, Reason.TIMEOUT)
    lab.provider.force_pay(session_id)
    await lab.settle(session_id)
    assert (await lab.order(order_id)).status is OrderStatus.REFUNDED


async def test_an_order_whose_payment_is_under_way_is_seen_through_by_a_settlement(lab: Lab) -> None:
    handle, order_id, session_id = await under_way(lab)
    await handle.terminate()
    lab.provider.force_pay(session_id)
    result = await lab.settle(session_id, order_id)
    assert result is not None
    assert result.status is OrderStatus.FULFILLED
