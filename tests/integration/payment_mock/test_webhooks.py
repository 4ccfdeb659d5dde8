"""Events on their way to the shop: signed, at least once, at once, and never lost."""

import asyncio
import itertools

import httpx
import pytest
import stripe
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from payment_mock.database import SQL
from tests.integration.payment_mock.conftest import Merchant, merchant_at
from tests.integration.payment_mock.serving import SECRET, Receiver, in_process, serve
from tests.support.databases import DatabaseServer, migrate_payments
from tests.support.eventually import eventually


async def test_a_payment_is_announced_with_a_signature_the_library_accepts(
    merchant: Merchant, receiver: Receiver
) -> None:
    paid = await merchant.paid()
    [posted] = await receiver.wait_for(paid.id)
    event = stripe.Webhook.construct_event(posted.body, posted.signature, SECRET)
    assert event.type == "checkout.session.completed"
    assert event.object == "event"
    assert event.data.object.to_dict() == paid.to_dict()
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(posted.body, posted.signature, "whsec_other")
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(posted.body + b" ", posted.signature, SECRET)


async def test_neither_the_first_delivery_nor_a_repeat_waits_for_a_poll(
    database_server: DatabaseServer, receiver: Receiver
) -> None:
    async with (
        database_server.empty() as database_url,
        in_process(database_url, receiver.url, PAYMENT_POLL_INTERVAL=3600) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        made = await client.post("/api/create_payment_session", json=guide_session())
        answers = iter([500, 500])
        receiver.answer = lambda _: next(answers, 200)
        await client.post("/api/submit_payment", json={"session_id": made.json()["session_id"]})
        await receiver.wait_for(made.json()["session_id"], 3)


async def test_each_outcome_sends_its_event(merchant: Merchant, receiver: Receiver) -> None:
    expired, cancelled, declined = await merchant.create(), await merchant.create(), await merchant.create()
    await merchant.sessions.expire_async(expired.id)
    await merchant.http.post("/api/cancel_payment", data={"session_id": cancelled.id})
    await merchant.http.post(f"/payment/{declined.id}/decline")
    paid = await merchant.paid()
    await merchant.stripe.v1.refunds.create_async({"payment_intent": paid.payment_intent, "amount": 100})
    await receiver.wait_for(expired.id, type_="checkout.session.expired")
    await receiver.wait_for(cancelled.id, type_="checkout.session.expired")
    [refunded] = await receiver.wait_for(paid.payment_intent, type_="charge.refunded")
    assert refunded.event["data"]["object"]["amount_refunded"] == 100
    intent = (await merchant.retrieve(declined.id)).payment_intent
    [failed] = await receiver.wait_for(intent, type_="payment_intent.payment_failed")
    assert failed.event["data"]["object"]["last_payment_error"]["message"] == "Your card was declined."


async def test_a_refused_delivery_is_repeated_until_it_is_answered_2xx(merchant: Merchant, receiver: Receiver) -> None:
    answers = iter([500, 302, 404])
    receiver.answer = lambda _: next(answers, 200)
    paid = await merchant.paid()
    posts = await receiver.wait_for(paid.id, 4)
    assert {post.body for post in posts} == {posts[0].body}, "a repeat is the same event"
    waits = [after.at - before.at for before, after in itertools.pairwise(posts)]
    assert all(wait >= 0.08 for wait in waits), waits
    await until_quiet(merchant, paid.id)
    [row] = await merchant.rows(
        "SELECT d.attempts, d.status FROM payments.deliveries d JOIN payments.events e ON e.id = d.event_id "
        "WHERE e.session_id = :id", id=paid.id,
    )  # fmt: skip
    assert (row.attempts, row.status) == (4, "delivered")


async def test_a_redirect_is_not_followed(merchant: Merchant, receiver: Receiver) -> None:
    elsewhere = Receiver()
    async with serve(elsewhere) as url:
        kept, receiver.url = receiver.url, url
        answers = iter([302])
        receiver.answer = lambda _: next(answers, 200)
        paid = await merchant.paid()
        await receiver.wait_for(paid.id, 2)
        receiver.url = kept
    assert elsewhere.received == []


async def test_a_slow_endpoint_does_not_hold_up_payments(merchant: Merchant, receiver: Receiver) -> None:
    receiver.gate = asyncio.Event()
    sessions = [await merchant.create() for _ in range(40)]
    async with asyncio.timeout(60):
        assert {await merchant.pay(session.id) for session in sessions} == {204}
    receiver.gate.set()
    for session in sessions:
        await receiver.wait_for(session.id)


async def test_during_a_rotation_either_secret_verifies(
    payments_database_url: str, payments_engine: AsyncEngine, receiver: Receiver
) -> None:
    secrets = "whsec_new,whsec_old"
    async with (
        in_process(payments_database_url, receiver.url, STRIPE_WEBHOOK_SECRET=secrets) as url,
        merchant_at(url, payments_engine) as merchant,
    ):
        paid = await merchant.paid()
        [posted] = await receiver.wait_for(paid.id)
    for secret in ("whsec_new", "whsec_old"):
        assert stripe.Webhook.construct_event(posted.body, posted.signature, secret).id
    assert posted.signature.count("v1=") == 2


async def test_recorded_events_can_be_read_back_as_they_were_sent(merchant: Merchant, receiver: Receiver) -> None:
    paid = await merchant.paid()
    [posted] = await receiver.wait_for(paid.id)
    await until_quiet(merchant, paid.id)
    event = await merchant.stripe.v1.events.retrieve_async(posted.event["id"])
    assert event.to_dict() == {**posted.event, "pending_webhooks": 0}
    listed = await merchant.stripe.v1.events.list_async({"types": ["checkout.session.completed"], "limit": 100})
    assert posted.event["id"] in {one.id for one in listed.data}
    assert {one.type for one in listed.data} == {"checkout.session.completed"}


async def test_a_session_of_the_guide_is_announced_to_its_own_webhook(merchant: Merchant, receiver: Receiver) -> None:
    own = Receiver()
    async with serve(own) as url:
        made = await merchant.http.post("/api/create_payment_session", json=guide_session(webhook=f"{url}/mine"))
        session_id = made.json()["session_id"]
        await merchant.pay(session_id)
        [posted] = await own.wait_for(session_id)
    assert posted.path == "/mine"
    assert receiver.about(session_id) == []


async def test_two_processes_share_one_outbox(
    merchant: Merchant, receiver: Receiver, payments_database_url: str, payments_engine: AsyncEngine
) -> None:
    async with (
        in_process(payments_database_url, receiver.url) as url,
        merchant_at(url, payments_engine) as other,
    ):
        sessions = [await (merchant if number % 2 else other).create() for number in range(20)]
        await asyncio.gather(*((other if number % 2 else merchant).pay(one.id) for number, one in enumerate(sessions)))
        for session in sessions:
            await receiver.wait_for(session.id)
            await until_quiet(merchant, session.id)
    assert all(len(receiver.about(session.id)) == 1 for session in sessions)


async def test_two_that_claim_at_once_get_different_deliveries_and_do_not_wait(database_server: DatabaseServer) -> None:
    async with database_server.empty() as url:
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
        await migrate_payments(engine)
        async with engine.begin() as connection:
            await connection.execute(
                text(
                    "INSERT INTO payments.events (id, type, payload) VALUES ('evt_1', 't', '{}'), ('evt_2', 't', '{}')"
                )
            )
            await connection.execute(
                text(
                    "INSERT INTO payments.deliveries (event_id, next_attempt_at) SELECT id, now() FROM payments.events"
                )
            )
        async with asyncio.timeout(20), engine.begin() as one, engine.begin() as other:
            claimed = [
                row
                for each in (one, other)
                for row in await each.execute(text(SQL["claim"]), {"limit": 1, "lease": 20})
            ]
        assert {delivery.event_id for delivery in claimed} == {"evt_1", "evt_2"}
        async with engine.begin() as later:
            assert (await later.execute(text(SQL["claim"]), {"limit": 10, "lease": 20})).all() == [], "both are leased"
        await engine.dispose()


def guide_session(**changes: object) -> dict[str, object]:
    return {
        "success_url": "http://localhost:8082/s",
        "cancel_url": "http://localhost:8082/c",
        "items": [{"description": "Pen", "quantity": 2, "price": 1000}],
        **changes,
    }


async def until_quiet(merchant: Merchant, session_id: str) -> None:
    """Until every delivery about the session is recorded as done."""

    async def quiet() -> bool:
        return not await merchant.rows(
            "SELECT 1 FROM payments.deliveries d JOIN payments.events e ON e.id = d.event_id "
            "WHERE e.session_id = :id AND d.status = 'pending'",
            id=session_id,
        )

    await eventually(quiet)
