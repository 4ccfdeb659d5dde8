"""The steps at the payment service: what is asked first, what is believed, what is written down once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.contracts import RefundInput
from checkout.errors import PaymentRefused
from checkout.orders import CartLine, OrderStatus, Reason
from tests.support.orders import awaiting, events, fulfil, on_hand, open_order, violations
from tests.support.provider import FakeProvider, always
from worker.activities.payments import IDEMPOTENCY_KEY_LIFETIME, PaymentActivities


async def test_an_order_older_than_the_providers_memory_is_looked_up_before_a_session_is_asked_for(
    engine: AsyncEngine,
) -> None:
    order, provider = await open_order(engine, "k"), FakeProvider()
    payments = PaymentActivities(engine, provider)
    opened = await payments.create_payment_session(order)
    provider.calls.clear()
    old = replace(order, created_at=datetime.now(UTC) - IDEMPOTENCY_KEY_LIFETIME - timedelta(minutes=1))
    assert (await payments.create_payment_session(old)).session == opened.session
    assert provider.calls == ["find"]


async def test_a_refusal_is_believed_only_when_no_session_is_found(engine: AsyncEngine) -> None:
    order, provider = await open_order(engine, "k"), FakeProvider()
    provider.fail["create"] = always(PaymentRefused("no"))
    with pytest.raises(PaymentRefused):
        await PaymentActivities(engine, provider).create_payment_session(order)
    assert provider.calls == ["create", "find"]


async def test_a_refund_told_again_returns_the_stock_of_a_fulfilled_order_once(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k", CartLine("limited-print", 4))
    await fulfil(engine, order)
    payments = PaymentActivities(engine, FakeProvider())
    for _ in range(2):
        ended = await payments.refund_payment(RefundInput(f"pi_{order.order_id}", Reason.OPERATOR, order.order_id))
        assert ended is not None
        assert ended.status is OrderStatus.REFUNDED
    assert await on_hand(engine, "limited-print") == 10
    assert await events(engine, "refunded") == 1
    assert await violations(engine) == []
