"""What the gateway must never let slip, each by the smallest test that notices (planted bugs run these)."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    SignalWorkflowInput,
    StartWorkflowInput,
    WorkflowHandle,
)
from temporalio.service import RPCError, RPCStatusCode

from api.checkouts import Buy, Checkouts
from api.webhooks import SessionEvent, deliver
from checkout.contracts import CartLine, OpenOrderInput, OrderStatus, PaymentSession, Reason, SessionStatus
from checkout.fingerprint import cart_fingerprint
from checkout.ids import settlement_workflow_id
from db import orders
from tests.support.rig import TOKEN, Rig, gateway, settings_for


async def test_a_key_answers_only_to_its_own_cart_while_it_runs_and_afterwards(shop: Rig) -> None:
    key, order_id, _ = await shop.bought()
    other = {"items": [{"sku": "pen", "quantity": 2}]}
    assert (await shop.buy(key, **other)).status_code == 422
    await shop.cancel(order_id)
    assert (await shop.buy(key, **other)).json()["code"] == "idempotency-key-reused"


async def test_of_two_carts_at_once_under_a_new_key_one_is_refused(shop: Rig) -> None:
    carts = [{"items": [{"sku": "pen", "quantity": quantity}]} for quantity in (1, 2)]
    answers = await asyncio.gather(*(shop.buy("both-at-once", **cart) for cart in carts))
    assert sorted(answer.status_code for answer in answers) == [200, 422]


async def test_of_many_clicks_all_get_one_answer_and_only_one_was_first(shop: Rig) -> None:
    for times in range(1, 4):
        answers = await asyncio.gather(*(shop.press(f"double-click-{times}") for _ in range(8)))
        if not {202, 503} & {answer.status_code for answer in answers}:
            break  # else a stalled machine made some wait, whose answer is a repeat's
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(shop.provider.sessions) == times
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 7


async def test_a_key_that_temporal_forgot_is_answered_from_the_database_and_starts_nothing(shop: Rig) -> None:
    """The retention is over, or the history was deleted: all that is left is the row."""
    lines, now = [CartLine("pen", 1)], datetime.now(UTC)
    wish = OpenOrderInput("forgotten", lines, cart_fingerprint(lines, None), now, now + timedelta(minutes=15))
    async with shop.engine.begin() as connection:
        order = await orders.open_order(connection, wish)
        await orders.record_session(connection, order.order_id, PaymentSession("cs_1", "https://pay.example/cs_1"))
    answers = [await shop.buy("forgotten") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert answers[0].json()["order_id"] == order.order_id
    assert answers[0].headers["idempotent-replayed"] == "true"
    assert not await shop.is_known("forgotten")


class _Overtaken(Interceptor):
    """Between our look into the database and our start, another request runs the key's whole checkout."""

    def __init__(self, shop: Rig) -> None:
        self.shop, self.is_first, self.run_id = shop, True, ""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        outer = self

        class Overtake(OutboundInterceptor):
            async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[object, object]:
                if outer.is_first:
                    outer.is_first = False
                    other = await outer.shop.buy(input.id)
                    await outer.shop.cancel(other.json()["order_id"])
                    handle = outer.shop.temporal.get_workflow_handle(input.id)
                    await handle.result()
                    outer.run_id = (await handle.describe()).run_id
                return await super().start_workflow(input)

        return Overtake(next)


async def test_a_checkout_that_ended_between_look_and_start_is_not_run_again(shop: Rig) -> None:
    options = shop.temporal.config()
    overtaker = _Overtaken(shop)
    options["interceptors"] = [overtaker]
    slow = Checkouts(shop.engine, Client(**options), shop.settings)
    outcome = await slow.buy(Buy("overtaken", [CartLine("pen", 1)], None), is_new_key=False)
    assert outcome.order is not None
    assert outcome.is_replay
    described = await shop.temporal.get_workflow_handle("overtaken").describe()
    assert described.run_id == overtaker.run_id


async def test_an_event_while_temporal_is_away_is_503_so_that_it_is_sent_again(database_url: str, shop: Rig) -> None:
    key, _, session_id = await shop.bought()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with gateway(settings_for(database_url, nobody.getsockname()[1])) as cut_off:
            lonely = Rig(shop.settings, shop.engine, shop.temporal, cut_off)
            assert (await lonely.tell(session_id, key, once=True)).status_code == 503
            assert (await lonely.tell("cs_unknown", once=True)).status_code == 503


class _Away(Interceptor):
    """A Temporal that takes nothing."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        class Refuse(OutboundInterceptor):
            async def signal_workflow(self, input: SignalWorkflowInput) -> None:
                raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")

        return Refuse(next)


async def test_an_event_that_temporal_does_not_take_is_an_error_so_that_it_is_sent_again(shop: Rig) -> None:
    """`api.problems` makes a 503 of it."""
    key, _, session_id = await shop.bought()
    options = shop.temporal.config()
    options["interceptors"] = [_Away()]
    with pytest.raises(RPCError):
        await deliver(
            SessionEvent("evt_1", "checkout.session.completed", session_id, key), Client(**options), shop.engine
        )


async def test_a_paid_checkout_is_fulfilled_by_the_event_alone(shop: Rig) -> None:
    key, order_id, session_id = await shop.bought()
    shop.provider.pay(session_id)
    assert (await shop.tell(session_id, key)).status_code == 200
    await shop.until(order_id, OrderStatus.FULFILLED, OrderStatus.DISPATCHED)


async def test_an_event_of_a_closed_checkout_has_its_money_given_back(shop: Rig) -> None:
    key, order_id, session_id = await shop.bought()
    await shop.cancel(order_id)
    await shop.temporal.get_workflow_handle(key).result()
    shop.provider.force_pay(session_id)
    assert (await shop.tell(session_id, key)).status_code == 200
    order = await shop.until(order_id, OrderStatus.REFUNDED)
    assert (order.reason, shop.provider.refunded) == (Reason.LATE_PAYMENT, [f"pi_{session_id}"])


async def test_an_event_told_again_for_a_fulfilled_order_starts_nothing(shop: Rig) -> None:
    key, _, session_id = await shop.bought()
    shop.provider.pay(session_id)
    await shop.tell(session_id, key)
    await shop.temporal.get_workflow_handle(key).result()
    assert (await shop.tell(session_id, key)).status_code == 200
    assert not await shop.is_known(settlement_workflow_id(session_id))


async def test_money_given_back_in_the_providers_dashboard_ends_the_order_as_refunded(shop: Rig) -> None:
    key, order_id, session_id = await shop.bought()
    assert (await shop.tell_refund(order_id, once=True)).status_code == 503, (
        "its checkout may be about to fulfil: not yet"
    )
    shop.provider.pay(session_id)
    await shop.tell(session_id, key)
    await shop.temporal.get_workflow_handle(key).result()
    shop.provider.refunded.append(f"pi_{session_id}")
    assert (await shop.tell_refund(order_id)).status_code == 200
    order = await shop.until(order_id, OrderStatus.REFUNDED)
    assert order.reason is Reason.OPERATOR
    settlement = shop.temporal.get_workflow_handle(settlement_workflow_id(session_id))
    first = (await settlement.describe()).run_id
    assert (await shop.tell_refund(order_id)).status_code == 200
    assert (await settlement.describe()).run_id == first, "of a refund that is known, nothing is started"


async def test_the_providers_word_counts_not_the_event_that_tells_of_a_refund(shop: Rig) -> None:
    key, order_id, session_id = await shop.bought()
    shop.provider.pay(session_id)
    await shop.tell(session_id, key)
    await shop.temporal.get_workflow_handle(key).result()
    assert (await shop.tell_refund(order_id)).status_code == 200
    await shop.temporal.get_workflow_handle(settlement_workflow_id(session_id)).result()
    assert (await shop.order(order_id)).status.is_kept
    assert (await shop.tell_refund("ord_unknown")).status_code == 200
    assert not await shop.is_known(settlement_workflow_id("ord_unknown"))


async def test_cancelling_an_order_that_lost_its_workflow_closes_the_session_first(shop: Rig) -> None:
    key, order_id, session_id = await shop.bought()
    await shop.temporal.get_workflow_handle(key).terminate()
    answer = await shop.cancel(order_id)
    assert (answer.status_code, answer.json()["reason"]) == (200, "customer")
    assert shop.provider.sessions[session_id].status is SessionStatus.EXPIRED


async def test_only_the_operators_token_opens_the_operators_doors(shop: Rig) -> None:
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        assert (await shop.http.get("/admin/orders", headers=wrong)).status_code == 401
    assert (await shop.http.get("/admin/orders", headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 200


async def test_a_body_beyond_64_kib_is_not_read(shop: Rig) -> None:
    padded = b'{"items": [{"sku": "pen", "quantity": 1}]}'.ljust(64 * 1024 + 1)
    assert (await shop.http.post("/checkout", content=padded)).status_code == 413
    assert (await shop.http.post("/checkout", content=padded[:-1])).status_code == 200


async def test_another_sites_page_cannot_buy(shop: Rig) -> None:
    assert (await shop.http.post("/checkout", headers={"Origin": "https://evil.example"})).status_code == 403


async def test_a_product_that_does_not_exist_is_refused_before_a_workflow_starts(shop: Rig) -> None:
    answer = await shop.buy("unicorns", items=[{"sku": "unicorn", "quantity": 1}])
    assert answer.status_code == 422
    assert not await shop.is_known("unicorns")
