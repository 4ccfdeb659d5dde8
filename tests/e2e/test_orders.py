"""Orders after Buy: cancel, live events, the provider's events, and the operator's side."""

import asyncio
import json
from typing import Any

from temporalio.client import Client

from runtime.connection import data_converter
from tests.support.eventually import eventually
from tests.support.patience import answered
from tests.support.shop import Shop
from tests.support.stacks import environment_of


async def paid(shop: Shop, **cart: Any) -> dict[str, Any]:
    """A bought, paid and fulfilled order's checkout answer."""
    body = await shop.buy(**cart)
    await shop.payment.pay(body["session_id"])
    await shop.until(body["order_id"], "fulfilled", "dispatched")
    return body


async def events(shop: Shop, order_id: str, last_event_id: str | None = None) -> list[dict[str, str]]:
    """The order's server-sent events until the stream ends."""
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    found: list[dict[str, str]] = [{}]
    async with shop.http.stream("GET", f"/orders/{order_id}/events", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for line in stream.aiter_lines():
            name, _, value = line.partition(": ")
            if line == "":
                found.append({})
            elif name in ("id", "event", "data"):
                found[-1][name] = value
    return [event for event in found if "event" in event]


async def test_a_customer_cancels_and_the_session_can_no_longer_be_paid(shop: Shop) -> None:
    lamps = await shop.available("desk-lamp")
    body = await shop.buy(sku="desk-lamp")
    for _ in range(2):
        answer = await answered(lambda: shop.http.post(f"/orders/{body['order_id']}/cancel"))
        assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (200, "cancelled", "customer")
    assert await shop.payment.status(body["session_id"]) == "cancelled"
    assert (await shop.payment.pay(body["session_id"])).status_code == 409
    assert await shop.available("desk-lamp") == lamps


async def test_a_paid_order_cannot_be_cancelled(shop: Shop) -> None:
    body = await paid(shop)
    answer = await shop.http.post(f"/orders/{body['order_id']}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "not-cancellable")


async def test_a_cancel_on_the_payment_page_ends_the_order(shop: Shop) -> None:
    body = await shop.buy()
    assert (await shop.payment.cancel(body["session_id"])).status_code == 204
    assert (await shop.until(body["order_id"], "cancelled"))["payment"]["status"] == "not_paid"


async def test_the_timeline_comes_live_and_resumes_after_the_last_event_seen(shop: Shop) -> None:
    body = await shop.buy()
    live = asyncio.create_task(events(shop, body["order_id"]))
    await shop.payment.pay(body["session_id"])
    seen = await asyncio.wait_for(live, 60)
    assert [event["event"] for event in seen] == ["reserved", "awaiting_payment", "paid", "fulfilled", "dispatched"]
    resumed = await events(shop, body["order_id"], last_event_id=seen[2]["id"])
    assert resumed == seen[3:]
    assert json.loads(seen[0]["data"])["kind"] == "reserved"


async def test_dispatch_shows_its_progress_and_ends_at_one(shop: Shop) -> None:
    body = await paid(shop)
    order = await shop.until(body["order_id"], "dispatched")
    assert order["dispatch"] | {"due_at": None} == {"status": "dispatched", "progress": 1.0, "due_at": None}


async def test_events_of_one_payment_in_parallel_fulfil_it_once(shop: Shop) -> None:
    body = await shop.buy()
    await shop.payment.fault("webhook", "lose", times=None)
    await shop.payment.pay(body["session_id"])
    statuses = await shop.payment.send_webhook(session_id=body["session_id"], copies=100)
    assert 200 in statuses
    assert set(statuses) <= {200, 503}, "taken, or in this rush: come again"
    order = await shop.until(body["order_id"], "fulfilled", "dispatched")
    assert [event["kind"] for event in order["timeline"]].count("fulfilled") == 1


async def test_a_forged_event_is_refused_and_changes_nothing(shop: Shop) -> None:
    body = await shop.buy()
    for signed in ("wrong", "none", "stale", "future", "altered"):
        assert await shop.payment.send_webhook(session_id=body["session_id"], signed=signed) == [400]
    assert (await shop.order(body["order_id"]))["status"] == "awaiting_payment"


async def test_an_event_that_claims_a_payment_is_not_believed(shop: Shop) -> None:
    """Rightly signed, and untrue: the provider is asked, and says that the session is open."""
    body = await shop.buy()
    claim = {"status": "complete", "payment_status": "paid"}
    assert await shop.payment.send_webhook(session_id=body["session_id"], data=claim) == [200]
    await shop.payment.pay(body["session_id"])
    order = await shop.until(body["order_id"], "fulfilled", "dispatched")
    assert order["payment"]["status"] == "paid"


async def test_money_after_the_cancel_is_given_back(shop: Shop) -> None:
    body = await shop.buy()
    await shop.http.post(f"/orders/{body['order_id']}/cancel")
    await shop.payment.force_pay(body["session_id"])
    order = await shop.until(body["order_id"], "refunded")
    assert (order["reason"], order["payment"]["status"]) == ("late_payment", "refunded")


async def test_the_payment_of_a_session_that_is_no_orders_is_given_back(shop: Shop) -> None:
    made = await shop.payment.http.post(
        "/api/create_payment_session",
        json={
            "webhook": f"{shop.stack.urls['gateway']}/payment_webhook",
            "success_url": "http://localhost/ok",
            "cancel_url": "http://localhost/no",
            "items": [{"description": "Not ours", "quantity": 1, "price": 700}],
        },
    )
    session_id = made.json()["session_id"]
    await shop.payment.pay(session_id)

    async def is_refunded() -> bool:
        headers = {"Authorization": f"Bearer {environment_of(shop.stack)['STRIPE_SECRET_KEY']}"}
        session = (await shop.payment.http.get(f"/v1/checkout/sessions/{session_id}", headers=headers)).json()
        refunds = (
            await shop.payment.http.get(
                "/v1/refunds", params={"payment_intent": session["payment_intent"]}, headers=headers
            )
        ).json()
        return [refund["amount"] for refund in refunds["data"]] == [700]

    await eventually(is_refunded, what="the refund")


async def test_an_operators_refund_is_made_once_and_returns_the_stock(shop: Shop) -> None:
    bags = await shop.available("tote-bag")
    body = await paid(shop, sku="tote-bag", quantity=2)
    path = f"/admin/orders/{body['order_id']}/refund"
    assert (await shop.http.post(path)).status_code == 401
    for _ in range(2):
        answer = await shop.http.post(path, headers=shop.operator)
        assert (answer.status_code, answer.json()["status"]) == (200, "refunded")
    assert await shop.available("tote-bag") == bags


async def test_a_refund_in_the_payment_services_dashboard_ends_the_order_and_returns_the_stock(shop: Shop) -> None:
    bags = await shop.available("tote-bag")
    body = await paid(shop, sku="tote-bag")
    headers = {"Authorization": f"Bearer {environment_of(shop.stack)['STRIPE_SECRET_KEY']}"}
    session = (await shop.payment.http.get(f"/v1/checkout/sessions/{body['session_id']}", headers=headers)).json()
    form = {"payment_intent": session["payment_intent"]}
    (await shop.payment.http.post("/v1/refunds", data=form, headers=headers)).raise_for_status()
    order = await shop.until(body["order_id"], "refunded")
    assert (order["reason"], order["payment"]["status"]) == ("operator", "refunded")
    assert await shop.available("tote-bag") == bags


async def test_what_was_not_paid_cannot_be_refunded(shop: Shop) -> None:
    body = await shop.buy()
    answer = await shop.http.post(f"/admin/orders/{body['order_id']}/refund", headers=shop.operator)
    assert (answer.status_code, answer.json()["code"]) == (409, "not-refundable")


async def test_operators_list_orders_page_by_page_and_find_them(shop: Shop) -> None:
    bodies = [await shop.buy() for _ in range(3)]
    first = (await shop.http.get("/admin/orders", params={"limit": 2}, headers=shop.operator)).json()
    second = (
        await shop.http.get("/admin/orders", params={"limit": 2, "after": first["next"]}, headers=shop.operator)
    ).json()
    listed = [order["order_id"] for order in first["orders"] + second["orders"]]
    assert listed[:3] == [body["order_id"] for body in reversed(bodies)]
    for unknown in (bodies[0]["session_id"], "ord_" + "0" * 32):
        refused = await shop.http.get("/admin/orders", params={"after": unknown}, headers=shop.operator)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "after")
    for query in (bodies[0]["order_id"], bodies[0]["session_id"], bodies[0]["checkout_key"]):
        found = (await shop.http.get("/admin/orders", params={"q": query}, headers=shop.operator)).json()["orders"]
        assert [order["order_id"] for order in found] == [bodies[0]["order_id"]]


async def test_an_order_can_be_followed_in_temporals_ui(shop: Shop) -> None:
    body = await paid(shop)
    client = await Client.connect(shop.stack.urls["temporal"], data_converter=data_converter())
    description = await client.get_workflow_handle(body["checkout_key"]).describe()
    assert await description.static_summary() == "Checkout of 1 x pen"
    assert body["checkout_key"] in str(await description.static_details())

    async def found() -> bool:
        query = f"OrderId = '{body['order_id']}' AND CheckoutStatus = 'fulfilled'"
        return [execution.id async for execution in client.list_workflows(query)] == [body["checkout_key"]]

    await eventually(found, what="the search attributes")


async def test_the_description_of_the_api_tells_of_every_answer(shop: Shop) -> None:
    schema = (await shop.http.get("/openapi.json")).json()
    answers = set(schema["paths"]["/checkout/{key}"]["post"]["responses"])
    assert {"200", "202", "303", "400", "409", "413", "422", "429", "502", "503"} <= answers
    assert {"CheckoutRequest", "CheckoutAnswer"} <= set(schema["components"]["schemas"])
    [signature] = schema["paths"]["/payment_webhook"]["post"]["parameters"]
    assert (signature["name"], signature["required"]) == ("Stripe-Signature", True)


async def test_metrics_count_by_route_and_name_no_key(shop: Shop) -> None:
    key = shop.key()
    await shop.buy(key)
    metrics = (await shop.http.get("/metrics")).text
    assert 'route="/checkout/{key:path}"' in metrics
    assert key not in metrics
