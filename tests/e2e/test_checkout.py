"""The guide's story and the gateway's first table, over HTTP, with every part real."""

import asyncio
import re

import httpx
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError

from runtime.connection import data_converter
from tests.support.eventually import eventually
from tests.support.patience import answered
from tests.support.shop import Shop
from tests.support.stacks import log_of

PROBLEM = "application/problem+json"


async def test_the_guides_own_commands_end_in_one_fulfilled_order_and_one_charge(shop: Shop) -> None:
    first = await shop.http.post("/checkout/abcde-12345")
    submit = first.json()["submit_payment"]
    url, session_id = re.fullmatch(r"curl -X POST (\S+) -d session_id=(\S+)", submit).groups()  # type: ignore[union-attr]
    assert (await shop.payment.http.post(url, data={"session_id": session_id})).status_code == 204
    again = [await shop.http.post("/checkout/abcde-12345") for _ in range(3)]
    assert (await shop.payment.http.post(url, data={"session_id": session_id})).status_code == 204
    assert {answer.content for answer in again} == {first.content}
    order = await shop.until(first.json()["order_id"], "dispatched")
    assert [event["kind"] for event in order["timeline"]] == [
        "reserved",
        "awaiting_payment",
        "paid",
        "fulfilled",
        "dispatched",
    ]
    assert "Checkout with UUID abcde-12345 succeeded!" in log_of(shop.stack, "worker")


async def test_the_answer_has_the_contracts_fields(shop: Shop) -> None:
    key = shop.key()
    answer = await shop.http.post(
        f"/checkout/{key}",
        json={"items": [{"sku": "pen", "quantity": 2}, {"sku": "notebook", "quantity": 1}], "email": "ada@example.com"},
    )
    body = answer.json()
    assert list(body) == [
        "checkout_key",
        "order_id",
        "session_id",
        "payment_url",
        "amount_total",
        "currency",
        "expires_at",
        "submit_payment",
        "cancel_payment",
    ]
    assert (body["checkout_key"], body["amount_total"], body["currency"]) == (key, 2450, "usd")
    assert body["payment_url"] == f"{shop.payment.url}/payment/{body['session_id']}"
    assert answer.headers["idempotency-key"] == key
    assert "idempotent-replayed" not in answer.headers


async def test_a_repeat_is_byte_identical_while_it_runs_and_after_every_end(shop: Shop) -> None:
    for end in ("pay", "cancel"):
        key = shop.key()
        first = await shop.post(key)
        running = await shop.post(key)
        body = first.json()
        await getattr(shop.payment, end)(body["session_id"])
        await shop.until(body["order_id"], "fulfilled" if end == "pay" else "cancelled", "dispatched")
        ended = await shop.post(key)
        assert first.content == running.content == ended.content
        assert (running.headers["idempotent-replayed"], ended.headers["idempotent-replayed"]) == ("true", "true")


async def test_a_repeat_is_answered_after_temporal_has_forgotten_the_checkout(shop: Shop) -> None:
    key = shop.key()
    first = await shop.post(key)
    await shop.payment.pay(first.json()["session_id"])
    await shop.until(first.json()["order_id"], "fulfilled", "dispatched")
    client = await Client.connect(shop.stack.urls["temporal"], data_converter=data_converter())
    await _delete(client, key)
    assert (await shop.post(key)).content == first.content


async def _delete(client: Client, workflow_id: str) -> None:
    request = DeleteWorkflowExecutionRequest(
        namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=workflow_id)
    )
    await client.workflow_service.delete_workflow_execution(request)

    async def is_gone() -> bool:
        try:
            await client.get_workflow_handle(workflow_id).describe()
        except RPCError:
            return True
        return False

    await eventually(is_gone, within=60, what="the deletion")


async def test_a_double_click_of_fifty_gets_one_order_and_one_answer(shop: Shop) -> None:
    for _ in range(3):
        answers = await asyncio.gather(*(shop.post(key) for key in [shop.key()] * 50))
        if not {202, 503} & {answer.status_code for answer in answers}:
            break  # else a stalled machine made some wait: their repeats would not be the clicks' answers
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


async def test_two_hundred_buyers_of_the_last_ten_make_ten_orders(shop: Shop) -> None:
    missing = 10 - await shop.available("limited-print")
    if missing > 0:
        await shop.restock("limited-print", missing)
    before = await shop.available("limited-print")
    keys = [shop.key() for _ in range(190 + before)]
    answers = await asyncio.gather(*(shop.post(key, sku="limited-print") for key in keys))
    codes = [answer.status_code for answer in answers]
    # In this rush some may be told to wait or to come again: they ask with their key, as any client would.
    outcome = dict(zip(keys, codes, strict=True))
    async with asyncio.timeout(60):
        while waiting := [key for key, code in outcome.items() if code in (202, 503)]:
            for key in waiting:
                outcome[key] = (await shop.post(key, sku="limited-print")).status_code
    assert list(outcome.values()).count(200) == before >= 10
    assert set(outcome.values()) == {200, 409}
    assert await shop.available("limited-print") == 0
    for answer in answers:
        if answer.status_code == 200:
            await shop.payment.pay(answer.json()["session_id"])


async def test_out_of_stock_names_the_products_and_repeats_the_same(shop: Shop) -> None:
    key = shop.key()
    cart = {"items": [{"sku": "pen", "quantity": 1}, {"sku": "limited-print", "quantity": 99}]}
    pens = await shop.available("pen")
    answers = [await shop.http.post(f"/checkout/{key}", json=cart) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert answers[0].content == answers[1].content
    assert answers[0].headers["content-type"] == PROBLEM
    assert (answers[0].json()["code"], answers[0].json()["skus"]) == ("out-of-stock", ["limited-print"])
    assert await shop.available("pen") == pens


async def test_the_same_key_with_another_cart_is_refused_and_the_first_goes_on(shop: Shop) -> None:
    key = shop.key()
    first = await shop.buy(key)
    other = await shop.post(key, quantity=2)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    await shop.payment.pay(first["session_id"])
    await shop.until(first["order_id"], "fulfilled", "dispatched")


async def test_the_key_may_stand_in_the_header_and_must_not_contradict_the_path(shop: Shop) -> None:
    key = shop.key()
    by_header = await shop.http.post("/checkout", headers={"Idempotency-Key": key})
    by_path = await shop.http.post(f"/checkout/{key}", headers={"Idempotency-Key": f'"{key}"'})
    assert by_header.content == by_path.content
    contradiction = await shop.http.post(f"/checkout/{key}", headers={"Idempotency-Key": "another"})
    assert (contradiction.status_code, contradiction.headers["content-type"]) == (400, PROBLEM)


async def test_without_a_key_every_checkout_is_its_own(shop: Shop) -> None:
    answers = [await shop.http.post("/checkout") for _ in range(2)]
    assert len({answer.json()["order_id"] for answer in answers}) == 2
    assert len({answer.headers["idempotency-key"] for answer in answers}) == 2


async def test_plain_text_gets_the_guides_answer(shop: Shop) -> None:
    answer = await shop.http.post("/checkout", headers={"Accept": "text/plain"})
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert [lines[0], lines[2]] == ["Submit payment:", "Cancel payment:"]
    assert lines[1].startswith(f"curl -X POST {shop.payment.url}/api/submit_payment -d session_id=cs_test_")


async def test_a_browsers_form_is_sent_on_to_the_payment_page(shop: Shop) -> None:
    form = {"sku": ["pen", "notebook"], "quantity": ["2", "1"], "key": shop.key()}
    answer = await shop.http.post("/checkout", data=form)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{shop.payment.url}/payment/cs_test_")


async def test_a_refusing_payment_service_is_a_502_and_the_stock_is_back(shop: Shop) -> None:
    key, mugs = shop.key(), await shop.available("coffee-mug")
    rule = await shop.payment.fault("create.before", "error", status=400, match={"client_reference_id": key})
    answers = [await shop.post(key, sku="coffee-mug") for _ in range(2)]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(502, "payment-unavailable")] * 2
    assert await shop.payment.fired(rule) == 1
    assert await shop.available("coffee-mug") == mugs


async def test_a_slow_payment_service_is_a_202_and_the_key_resumes_the_wait(shop: Shop) -> None:
    key = shop.key()
    rule = await shop.payment.fault(
        "create.before", "hold", times=None, delay_seconds=60, match={"client_reference_id": key}
    )
    first = await shop.post(key)
    assert (first.status_code, first.json()) == (202, {"checkout_key": key, "status": "pending"})
    assert first.headers["location"] == f"/checkout/{key}"
    assert first.headers["retry-after"].isdigit()
    assert await shop.payment.fired(rule) >= 1
    await shop.payment.http.post("/_faults/release", json={})
    await shop.payment.reset()
    # The worker's next attempt may be some seconds away.
    resumed = await answered(lambda: shop.post(key))
    assert resumed.status_code == 200
    assert (await shop.post(key)).content == resumed.content


async def test_an_idle_connection_is_kept_for_as_long_as_clients_use_one_again(shop: Shop) -> None:
    """A server that closes first does so, now and then, just as the next request is on its way: after five seconds,
    which is what many clients keep one for, a Buy failed that nobody had refused."""
    address = httpx.URL(shop.stack.urls["gateway"])
    reader, writer = await asyncio.open_connection(address.host, address.port)
    for pause in (5.5, 0.0):
        writer.write(b"GET /livez HTTP/1.1\r\nHost: shop\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert head.startswith(b"HTTP/1.1 200")
        await reader.readexactly(3)
        await asyncio.sleep(pause)
    writer.close()
