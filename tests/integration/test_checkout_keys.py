"""One key, one cart, one checkout, one answer: however often, however many at once, however late."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    WorkflowHandle,
)

from api.checkouts import Checkouts
from api.limits import Limits
from api.waiting import Stopping
from checkout.contracts import OpenOrderInput
from checkout.orders import CartLine, cart_fingerprint
from checkout.sessions import PaymentSession
from db import opening, orders
from db.writing import WriteWatch
from stack.stack import Stack
from tests.support.rig import Rig, gateway, settings_for


async def test_a_key_answers_only_to_its_own_cart_while_it_runs_and_afterwards(rig: Rig) -> None:
    key, order_id, _ = await rig.bought()
    other = {"items": [{"sku": "pen", "quantity": 2}]}
    assert (await rig.buy(key, **other)).status_code == 422
    await rig.cancel(order_id)
    assert (await rig.buy(key, **other)).json()["code"] == "idempotency-key-reused"


async def test_of_two_carts_at_once_under_a_new_key_one_is_refused(rig: Rig) -> None:
    carts = [{"items": [{"sku": "pen", "quantity": quantity}]} for quantity in (1, 2)]
    answers = await asyncio.gather(*(rig.buy("both-at-once", **cart) for cart in carts))
    assert sorted(answer.status_code for answer in answers) == [200, 422]


async def test_of_many_clicks_all_get_one_answer_and_only_one_was_first(rig: Rig) -> None:
    for times in range(1, 4):
        answers = await asyncio.gather(*(rig.press(f"double-click-{times}") for _ in range(8)))
        if not {202, 503} & {answer.status_code for answer in answers}:
            break  # else a stalled machine made some wait, whose answer is a repeat's
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(rig.provider.sessions) == times
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 7


async def test_a_key_that_temporal_forgot_is_answered_from_the_database_and_starts_nothing(rig: Rig) -> None:
    """The retention is over, or the history was deleted: all that is left is the row."""
    lines, now = [CartLine("pen", 1)], datetime.now(UTC)
    wish = OpenOrderInput("forgotten", lines, cart_fingerprint(lines, None), now, now + timedelta(minutes=15))
    async with rig.engine.begin() as connection:
        order = await opening.open_order(connection, wish)
        await orders.record_session(connection, order.order_id, PaymentSession("cs_1", "https://pay.example/cs_1"))
    answers = [await rig.buy("forgotten") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert answers[0].json()["order_id"] == order.order_id
    assert answers[0].headers["idempotent-replayed"] == "true"
    assert not await rig.is_known("forgotten")


class _Overtaken(Interceptor):
    """Between our look into the database and our start, another request runs the key's whole checkout."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.is_first, self.run_id = rig, True, ""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        outer = self

        class Overtake(OutboundInterceptor):
            async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[object, object]:
                if outer.is_first:
                    outer.is_first = False
                    other = await outer.rig.buy(input.id)
                    await outer.rig.cancel(other.json()["order_id"])
                    handle = outer.rig.temporal.get_workflow_handle(input.id)
                    await handle.result()
                    outer.run_id = (await handle.describe()).run_id
                return await super().start_workflow(input)

        return Overtake(next)


async def test_a_checkout_that_ended_between_look_and_start_is_not_run_again(rig: Rig) -> None:
    options = rig.temporal.config()
    overtaker = _Overtaken(rig)
    options["interceptors"] = [overtaker]
    limits = Limits(rig.settings, rig.engine)
    slow = Checkouts(rig.engine, Client(**options), rig.settings, limits, Stopping(), WriteWatch(rig.engine))
    outcome = await slow.buy("overtaken", [CartLine("pen", 1)], None)
    assert outcome.order is not None
    assert outcome.is_replay
    described = await rig.temporal.get_workflow_handle("overtaken").describe()
    assert described.run_id == overtaker.run_id


async def test_another_cart_under_a_key_is_refused_also_before_any_worker_has_looked(
    database_url: str, temporal_server: Stack
) -> None:
    settings = settings_for(database_url, temporal_server.config.settings.temporal_port, CHECKOUT_SESSION_WAIT=0.3)
    async with gateway(settings) as without_worker:
        key = secrets.token_hex(8)
        carts = [{"items": [{"sku": "pen", "quantity": quantity}]} for quantity in (1, 1, 2)]
        answers = [await without_worker.post(f"/checkout/{key}", json=cart) for cart in carts]
        assert [answer.status_code for answer in answers] == [202, 202, 422]
        assert answers[2].json()["code"] == "idempotency-key-reused"


async def test_a_form_without_anything_in_it_is_no_form(rig: Rig) -> None:
    """`curl -d ''` says "form": its user waits for the answer, not for a page to go to."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answers = [await rig.press("empty")]
    answers += [await rig.http.post("/checkout/empty", content=content, headers=form) for content in (b"", b" \n")]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({answer.content for answer in answers}) == 1
