"""The money after the sale, followed by events and, where they are lost, by the sweep: to its end."""

import asyncio

import pytest

from checkout.errors import PaymentRefused
from checkout.ids import settlement_workflow_id
from checkout.orders import OrderStatus, Reason
from checkout.payments import RefundState
from tests.support.eventually import eventually
from tests.support.orders import scalar
from tests.support.provider import times
from tests.support.rig import TOKEN, Rig
from worker import warehouse

OPERATOR = {"Authorization": f"Bearer {TOKEN}"}


async def bought_and_paid(rig: Rig) -> tuple[str, str]:
    """A fulfilled order: its id, and its payment's."""
    key, order_id, session_id = await rig.bought()
    rig.provider.pay(session_id)
    await rig.tell(session_id, key)
    await rig.temporal.get_workflow_handle(key).result()
    return order_id, f"pi_{session_id}"


async def refund(rig: Rig, order_id: str) -> int:
    return (await rig.http.post(f"/admin/orders/{order_id}/refund", headers=OPERATOR)).status_code


async def payment_of(rig: Rig, order_id: str) -> str:
    return str((await rig.http.get(f"/orders/{order_id}")).json()["payment"]["status"])


async def committed(rig: Rig, statement: str) -> None:
    async with rig.engine.begin() as connection:
        await connection.exec_driver_sql(statement)


async def test_a_refund_whose_events_are_lost_is_found_out_by_the_sweep(rig: Rig) -> None:
    order_id, intent = await bought_and_paid(rig)
    rig.provider.refunds_are = RefundState.PENDING
    assert await refund(rig, order_id) == 200
    assert (await rig.order(order_id)).status is OrderStatus.FULFILLED, "accepted is not given back"
    assert await warehouse.dispatch(rig.engine) == 0
    rig.provider.refund_becomes(rig.provider.given_back[intent][0].provider_refund_id, RefundState.SUCCEEDED)
    assert (await rig.sweep()).payments_looked_at == 0, "not yet"
    await committed(rig, "UPDATE shop.payments SET look_at = now() WHERE look_at IS NOT NULL")
    assert (await rig.sweep()).payments_looked_at == 1
    await rig.until(order_id, OrderStatus.REFUNDED)
    assert await scalar(rig.engine, "SELECT look_at IS NULL FROM shop.payments")


async def test_a_refund_that_fails_after_it_succeeded_is_made_again_and_the_order_stays_refunded(rig: Rig) -> None:
    order_id, intent = await bought_and_paid(rig)
    assert await refund(rig, order_id) == 200
    await rig.until(order_id, OrderStatus.REFUNDED)
    [first] = rig.provider.given_back[intent]
    rig.provider.refund_becomes(first.provider_refund_id, RefundState.FAILED, failure_reason="expired_or_canceled_card")
    for kind in ("charge.refund.updated", "refund.failed", "refund.updated"):
        told = {"id": first.provider_refund_id, "status": "failed"}
        assert (await rig.tell_money(kind, intent, **told)).status_code == 200

    async def is_made_again() -> bool:
        return rig.provider.left(intent) == 0

    await eventually(is_made_again, what="the second refund")
    assert [one.state for one in rig.provider.given_back[intent]] == [RefundState.FAILED, RefundState.SUCCEEDED]
    assert (await rig.order(order_id)).status is OrderStatus.REFUNDED


async def test_a_refund_that_fails_while_the_provider_refuses_another_is_owed_and_told(rig: Rig) -> None:
    order_id, intent = await bought_and_paid(rig)
    assert await refund(rig, order_id) == 200
    [first] = rig.provider.given_back[intent]
    rig.provider.refund_becomes(first.provider_refund_id, RefundState.FAILED)
    rig.provider.fail["refund"] = times(1, PaymentRefused("no balance"))
    await rig.tell_money("refund.failed", intent, id=first.provider_refund_id, status="failed")
    await rig.temporal.get_workflow_handle(settlement_workflow_id(intent)).result()
    assert await payment_of(rig, order_id) == "refund_due"
    await committed(rig, "UPDATE shop.payments SET look_at = now()")
    await rig.sweep()

    async def is_made_again() -> bool:
        return await payment_of(rig, order_id) == "refunded"

    await eventually(is_made_again, what="the second refund")


async def test_a_refused_refund_has_moved_nothing_and_asked_for_again_is_made(rig: Rig) -> None:
    order_id, intent = await bought_and_paid(rig)
    rig.provider.fail["refund"] = times(1, PaymentRefused("no balance"))
    assert await refund(rig, order_id) == 502
    assert rig.provider.given_back == {}
    assert not await scalar(rig.engine, "SELECT on_hold FROM shop.orders")
    assert await refund(rig, order_id) == 200
    assert rig.provider.refunded == [intent]


async def test_a_disputed_order_is_held_until_the_dispute_is_won(rig: Rig) -> None:
    order_id, intent = await bought_and_paid(rig)
    rig.provider.dispute(intent)
    await rig.tell_money("charge.dispute.created", intent, id="dp_1", status="needs_response")

    async def is_held() -> bool:
        return bool(await scalar(rig.engine, "SELECT on_hold FROM shop.orders"))

    await eventually(is_held, what="the dispute")
    await asyncio.sleep(0.3)  # a parcel takes 0.2 s
    assert await warehouse.dispatch(rig.engine) == 0
    assert await refund(rig, order_id) == 409
    rig.provider.dispute(intent, "won")
    for _ in range(2):
        await rig.tell_money("charge.dispute.closed", intent, id="dp_1", status="won")

    async def is_sent() -> bool:
        return await warehouse.dispatch(rig.engine) == 1

    await eventually(is_sent, what="the dispatch")


@pytest.mark.parametrize("fails", [True, False])
async def test_a_payment_that_takes_days_is_not_cancelled_and_its_end_is_found_out_without_news(
    rig: Rig, fails: bool
) -> None:
    key, order_id, session_id = await rig.bought()
    rig.provider.order_debit(session_id)
    await rig.tell(session_id, key)
    await rig.until(order_id, OrderStatus.PAYMENT_PROCESSING)
    assert await payment_of(rig, order_id) == "processing"
    refused = await rig.cancel(order_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "payment-under-way")
    if fails:
        rig.provider.debit_fails(session_id)
    else:
        rig.provider.force_pay(session_id)
    await committed(rig, "UPDATE shop.payments SET look_at = now()")
    await rig.sweep()
    order = await rig.until(order_id, OrderStatus.CANCELLED if fails else OrderStatus.FULFILLED)
    assert order.reason is (Reason.PAYMENT_FAILED if fails else None)
