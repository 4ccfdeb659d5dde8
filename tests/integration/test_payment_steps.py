"""The steps at the payment service: what is asked first, what is believed, what is written down once."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import ActivityEnvironment

from checkout.contracts import RefundInput
from checkout.errors import PaymentRefused
from checkout.orders import CartLine, OrderStatus, Reason
from checkout.sessions import ProviderSession, SessionStatus
from tests.support.orders import awaiting, events, fulfil, on_hand, open_order, violations
from tests.support.provider import FakeProvider, always
from worker import policies
from worker.activities.checkouts import IDEMPOTENCY_KEY_LIFETIME, CheckoutActivities
from worker.activities.money import MoneyActivities


async def test_an_order_older_than_the_providers_memory_is_looked_up_before_a_session_is_asked_for(
    engine: AsyncEngine,
) -> None:
    order, provider = await open_order(engine, "k"), FakeProvider()
    steps = CheckoutActivities(engine, provider, dispatch_duration=1)
    opened = await steps.create_payment_session(order)
    provider.calls.clear()
    old = replace(order, created_at=datetime.now(UTC) - IDEMPOTENCY_KEY_LIFETIME - timedelta(minutes=1))
    assert (await steps.create_payment_session(old)).session == opened.session
    assert provider.calls == ["find"]


async def test_a_refusal_is_believed_only_when_no_session_is_found(engine: AsyncEngine) -> None:
    order, provider = await open_order(engine, "k"), FakeProvider()
    provider.fail["create"] = always(PaymentRefused("no"))
    with pytest.raises(PaymentRefused):
        await CheckoutActivities(engine, provider, dispatch_duration=1).create_payment_session(order)
    assert provider.calls == ["create", "find"]


async def test_a_refund_told_again_returns_the_stock_of_a_fulfilled_order_once(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k", CartLine("limited-print", 4))
    await fulfil(engine, order)
    intent, provider = f"pi_{order.order_id}", FakeProvider()
    provider.sessions["cs_k"] = ProviderSession(
        "cs_k", SessionStatus.COMPLETE, True, order.amount_total, order.currency, order.order_id, intent
    )
    money = MoneyActivities(engine, provider)
    for _ in range(2):
        ended = await money.refund_payment(RefundInput(intent, Reason.OPERATOR, order.order_id))
        assert ended is not None
        assert ended.status is OrderStatus.REFUNDED
    assert await on_hand(engine, "limited-print") == 10
    assert await events(engine, "refunded") == 1
    assert await violations(engine) == []


async def test_a_long_look_for_the_session_tells_in_time_that_it_lives(engine: AsyncEngine) -> None:
    """Temporal takes it for dead when it has been silent for its heartbeat timeout, and has it done again."""
    order, provider = await open_order(engine, "k"), FakeProvider(find_takes=2.5)
    provider.fail["create"] = always(PaymentRefused("no"))
    beats = [time.monotonic()]
    regular = ActivityEnvironment()
    regular.info = replace(regular.info, heartbeat_timeout=timedelta(seconds=1), is_local=False)
    regular.on_heartbeat = lambda *_: beats.append(time.monotonic())
    with pytest.raises(PaymentRefused):
        await regular.run(CheckoutActivities(engine, provider, dispatch_duration=1).create_payment_session, order)
    assert len(beats) > 4
    assert max(later - earlier for earlier, later in pairwise(beats)) < 1


def test_a_look_for_the_session_may_be_long_and_is_missed_soon() -> None:
    policy = policies.OPEN_SESSION
    assert policy.attempt >= timedelta(minutes=5)
    assert policy.heartbeat is not None
    assert policy.heartbeat <= timedelta(seconds=15)
