"""Orders that are not sent: all of their money is asked back, or a bank disputes it."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.contracts import RefundOrderInput
from checkout.errors import NotRefundable
from checkout.orders import Order
from checkout.payments import ProviderDispute, ProviderRefund
from db import ledger, orders, refunds
from tests.integration.ledger.steps import PENDING, TOTAL, ask, hear, intent_of, status, take
from tests.support.orders import on_hand, scalar, violations


async def make_due(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE shop.orders SET dispatch_due_at = clock_timestamp()"))


def dispute(state: str) -> ProviderDispute:
    return ProviderDispute("du_1", TOTAL, state, "fraudulent", datetime(2030, 1, 1, tzinfo=UTC))


async def test_an_order_is_not_dispatched_while_all_of_its_money_is_asked_back(
    engine: AsyncEngine, order: Order
) -> None:
    await make_due(engine)
    refund = await ask(engine, order)
    async with engine.begin() as connection:
        assert await orders.dispatch_due(connection) == 0
    async with engine.begin() as connection:
        await ledger.give_up(connection, refund, "no balance")
    async with engine.begin() as connection:
        assert await orders.dispatch_due(connection) == 1
    assert (await ask(engine, order)).attempt == 2, "the same key tries again"


@pytest.mark.parametrize("refunded_first", [True, False])
async def test_a_refund_and_the_warehouse_meet_in_the_orders_row(
    engine: AsyncEngine, order: Order, refunded_first: bool
) -> None:
    """Whoever comes second sees what the first has done, though both began before."""
    await make_due(engine)
    async with engine.connect() as asking, engine.connect() as sending:
        if refunded_first:
            await refunds.request_refund(asking, RefundOrderInput(order.order_id))
            assert await orders.dispatch_due(sending) == 0, "the row is somebody else's"
        else:
            assert await orders.dispatch_due(sending) == 1
            waiting = asyncio.create_task(refunds.request_refund(asking, RefundOrderInput(order.order_id)))
            await asyncio.sleep(0.05)
            await sending.commit()
            await waiting
        await asking.commit()
        await sending.commit()
    async with engine.begin() as connection:
        assert await orders.dispatch_due(connection) == 0
    assert await status(engine) == ("fulfilled" if refunded_first else "dispatched")


async def test_nothing_is_refunded_on_top_of_a_dispute_and_the_order_is_held_until_it_is_won(
    engine: AsyncEngine, order: Order
) -> None:
    await make_due(engine)
    for state in ("warning_needs_response", "needs_response", "under_review", "under_review"):
        await hear(engine, order, disputes=[dispute(state)])
        async with engine.begin() as connection:
            assert await orders.dispatch_due(connection) == 0
    with pytest.raises(NotRefundable, match="disputed"):
        await ask(engine, order)
    with pytest.raises(DBAPIError, match="is held"):
        await scalar(engine, "UPDATE shop.orders SET status = 'dispatched' RETURNING 1")
    await hear(engine, order, disputes=[dispute("won")])
    async with engine.begin() as connection:
        assert await orders.dispatch_due(connection) == 1
    await hear(engine, order, disputes=[dispute("needs_response")])
    assert await scalar(engine, "SELECT state FROM shop.disputes") == "won", "what is closed does not open again"
    assert await on_hand(engine, "limited-print") == 7


async def test_what_cannot_be_is_told_with_its_order(
    engine: AsyncEngine, order: Order, caplog: pytest.LogCaptureFixture
) -> None:
    refund = await take(engine, await ask(engine, order))
    told = ProviderRefund("re_1", refund.amount, PENDING, refund_id=refund.id)
    await hear(engine, order, [told], [dispute("won")])
    await hear(engine, order, [told], [dispute("needs_response")])
    lines = {record.getMessage() for record in caplog.records if "the payment service says" in record.getMessage()}
    of = f"of payment {intent_of(order)}, order {order.order_id}, is"
    assert lines == {
        f"Refund {refund.id} {of} succeeded, and the payment service says pending",
        f"Dispute du_1 {of} won, and the payment service says needs_response",
    }


async def test_money_that_a_bank_has_taken_for_good_is_not_given_back_as_well(
    engine: AsyncEngine, order: Order
) -> None:
    wish = await ask(engine, order)
    await hear(engine, order, disputes=[dispute("needs_response")])
    outcome = await hear(engine, order, disputes=[dispute("lost")])
    assert outcome.to_make == []
    assert await scalar(engine, "SELECT state FROM shop.refunds WHERE id = :id", id=wish.id) == "cancelled"
    assert await status(engine) == "fulfilled"
    assert await scalar(engine, "SELECT on_hold FROM shop.orders")
    assert await scalar(engine, "SELECT look_at IS NULL FROM shop.payments"), "nothing stands open"
    assert await violations(engine) == []
