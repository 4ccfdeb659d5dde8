"""The control plane's faults of webhooks: lost, late, twice, forged, flooded, of one's own making."""

import asyncio
import time

import pytest
import stripe

from tests.integration.payment_mock.conftest import Merchant
from tests.integration.payment_mock.serving import SECRET, Receiver


async def test_the_webhook_can_arrive_before_create_replies(merchant: Merchant, receiver: Receiver) -> None:
    await merchant.plant("create.after", "pay")
    session = await merchant.create()
    assert session.status == "open", "create still answers with what it created"
    assert [posted.type for posted in receiver.about(session.id)] == ["checkout.session.completed"]
    assert (await merchant.retrieve(session.id)).payment_status == "paid"


async def test_a_webhook_can_be_lost(merchant: Merchant, receiver: Receiver) -> None:
    lost, marker = await merchant.create(), await merchant.create()
    await merchant.plant("webhook", "lose", match={"session_id": lost.id})
    await merchant.pay(lost.id)
    await merchant.pay(marker.id)
    await receiver.wait_for(marker.id)
    await asyncio.sleep(0.5)
    assert receiver.about(lost.id) == []


async def test_a_webhook_can_be_delayed_or_duplicated(merchant: Merchant, receiver: Receiver) -> None:
    slow, often = await merchant.create(), await merchant.create()
    await merchant.plant("webhook", "delay", delay_seconds=0.6, match={"session_id": slow.id})
    await merchant.plant("webhook", "duplicate", copies=3, match={"session_id": often.id})
    before = time.time()
    await merchant.pay(slow.id)
    await merchant.pay(often.id)
    [posted] = await receiver.wait_for(slow.id)
    assert posted.at - before >= 0.6
    copies = await receiver.wait_for(often.id, 4)
    assert len({copy.body for copy in copies}) == 1


async def test_webhooks_can_be_reordered(merchant: Merchant, receiver: Receiver) -> None:
    first, second = await merchant.create(), await merchant.create()
    await merchant.plant("webhook", "reorder", match={"session_id": first.id})
    await merchant.pay(first.id)
    await merchant.pay(second.id)
    await receiver.wait_for(first.id)
    order = [posted.session_id for posted in receiver.received if posted.session_id in (first.id, second.id)]
    assert order == [second.id, first.id]


async def test_a_forged_webhook_does_not_verify_and_the_genuine_one_follows(
    merchant: Merchant, receiver: Receiver
) -> None:
    session = await merchant.create()
    await merchant.plant("webhook", "forge", match={"session_id": session.id})
    await merchant.pay(session.id)
    forged, genuine = await receiver.wait_for(session.id, 2)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(forged.body, forged.signature, SECRET)
    assert stripe.Webhook.construct_event(genuine.body, genuine.signature, SECRET)


@pytest.mark.parametrize("signed", ["right", "wrong", "none", "stale", "future", "altered"])
async def test_an_event_of_ones_own_is_sent_signed_as_asked(
    merchant: Merchant, receiver: Receiver, signed: str
) -> None:
    session = await merchant.create()
    sent = await merchant.http.post(
        "/_faults/webhooks", json={"session_id": session.id, "signed": signed, "data": {"payment_status": "paid"}}
    )
    assert sent.json()["statuses"] == [200]
    [posted] = await receiver.wait_for(session.id)
    assert posted.event["data"]["object"]["payment_status"] == "paid"
    stamp = int(dict(part.split("=", 1) for part in posted.signature.split(",") if part).get("t", "0"))
    assert {"stale": stamp < time.time() - 300, "future": stamp > time.time() + 299}.get(signed, True)
    if signed in ("right", "future"):  # the library does not look into the future; a shop should
        assert stripe.Webhook.construct_event(posted.body, posted.signature, SECRET)
    else:
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(posted.body, posted.signature, SECRET)


async def test_a_flood_of_one_event_and_a_body_of_ones_own_can_be_sent(merchant: Merchant, receiver: Receiver) -> None:
    session = await merchant.create()
    sent = await merchant.http.post(
        "/_faults/webhooks", json={"session_id": session.id, "copies": 50, "event_id": "evt_flood"}
    )
    assert sent.json()["statuses"] == [200] * 50
    assert {posted.event["id"] for posted in receiver.about(session.id)} == {"evt_flood"}
    await merchant.http.post("/_faults/webhooks", json={"body": f'{{"truncated": "{session.id}'})
    assert receiver.received[-1].body.endswith(session.id.encode())


async def test_a_recorded_event_can_be_sent_again_days_later(merchant: Merchant, receiver: Receiver) -> None:
    paid = await merchant.paid()
    [posted] = await receiver.wait_for(paid.id)
    answer = await merchant.http.post(f"/_faults/webhooks/{posted.event['id']}/resend")
    assert answer.json() == {"queued": True}
    posts = await receiver.wait_for(paid.id, 2)
    assert posts[0].body == posts[1].body
    assert (await merchant.http.post("/_faults/webhooks/evt_none/resend")).status_code == 404
