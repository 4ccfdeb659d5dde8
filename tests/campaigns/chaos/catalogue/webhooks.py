"""Webhooks: doubled, lost, late, forged, out of order, for strangers, and when nobody is there to take them."""

import asyncio
from typing import Any

from tests.campaigns.chaos.catalogue.row import Row
from tests.campaigns.chaos.customer import Customer
from tests.campaigns.chaos.interventions import forget
from tests.campaigns.chaos.journeys import pay
from tests.campaigns.chaos.trip import Trip
from tests.campaigns.chaos.verdicts import Void, expect, in_time
from tests.campaigns.chaos.world import World


async def a_hundred_copies_at_once_fulfil_once(trip: Trip) -> str:
    customer = trip.customer()
    await customer.buy()
    await customer.pay()
    sent = await _send(trip.world, session_id=customer.session_id, copies=100)
    expect(set(sent["statuses"]) <= {200, 503}, f"200 or 503, not {set(sent['statuses'])}")
    return str((await customer.until("dispatched"))["status"])


async def duplicated_delayed_reordered_and_forged_on_the_way(trip: Trip) -> str:
    ends = set()
    for action, more in (("duplicate", {"copies": 5}), ("delay", {"delay_seconds": 1}), ("reorder", {}), ("forge", {})):
        planted = await trip.world.plant("webhook", action, **more)
        ends.add(await pay(trip))
        await trip.world.planted(planted)
    return ", ".join(ends)


async def lost_and_the_timeout_asks_the_provider(trip: Trip) -> str:
    planted = await trip.world.plant("webhook", "lose", match={"event_type": "checkout.session.completed"})
    for _ in range(5):
        customer = trip.customer(gateway=trip.hasty)
        # On a slow machine the two seconds may be over before the payment.
        if await customer.buy() and await customer.pay():
            break
    else:
        raise Void("nobody could pay in time")
    end = str((await customer.until("dispatched"))["status"])
    await trip.world.planted(planted)
    return end


async def expired_after_paid_and_completed_before_paid(trip: Trip) -> str:
    """Genuine signatures, wrong news: the provider is asked, and its word counts."""
    world = trip.world
    customer = trip.customer()
    await customer.buy()
    for kind in ("checkout.session.completed", "checkout.session.expired"):
        sent = await _send(world, type=kind, session_id=customer.session_id, data={"payment_status": "paid"})
        expect(sent["statuses"] == [200], "the event to be taken")
    await asyncio.sleep(0.5)
    expect((await customer.look())["status"] == "awaiting_payment", "no goods, and no cancelled order either")
    await customer.pay()
    await _send(world, type="checkout.session.expired", session_id=customer.session_id)
    return str((await customer.until("dispatched"))["status"])


async def forged_stale_future_altered_and_unsigned_are_refused_without_a_trace(trip: Trip) -> str:
    world = trip.world
    customer = trip.customer()
    await customer.buy()
    await world.temporal.get_workflow_handle(customer.key).describe()
    before = await _history_length(world, customer)
    for signed in ("wrong", "stale", "future", "altered", "none"):
        sent = await _send(world, session_id=customer.session_id, signed=signed)
        expect(sent["statuses"] == [400], f"400 to {signed}, not {sent['statuses']}")
        world.note(f"webhook {signed}")
    expect(await _history_length(world, customer) == before, "no trace in the workflow's history")
    await customer.pay()
    return str((await customer.until("dispatched"))["status"])


async def money_for_a_session_that_is_not_ours_is_given_back(trip: Trip) -> str:
    await _pay_foreign_session(trip.world, None)
    return "refunded"


async def money_for_a_second_session_under_the_key_of_a_live_checkout_is_given_back(trip: Trip) -> str:
    customer = trip.customer()
    await customer.buy()
    await _pay_foreign_session(trip.world, customer.key)
    expect((await customer.look())["status"] == "awaiting_payment", "the checkout itself to wait on")
    await customer.pay()
    return str((await customer.until("dispatched"))["status"])


async def redelivered_when_temporal_has_forgotten_the_checkout(trip: Trip) -> str:
    await pay(trip)
    customer = trip.customers[-1]
    await forget(trip.world, customer.key)
    rows = await trip.world.query(
        "SELECT e.id FROM payments.events e JOIN payments.deliveries d ON d.event_id = e.id"
        " WHERE e.session_id = $1 AND d.status = 'delivered'",
        customer.session_id,
    )
    for (event_id,) in rows:
        (await trip.world.http.post(f"{trip.world.payment}/_faults/webhooks/{event_id}/resend")).raise_for_status()
    expect(rows, "an event to send again")
    return str((await customer.until("dispatched"))["status"])


async def nobody_at_home_when_they_come(trip: Trip) -> str:
    world = trip.world
    customer = trip.customer()
    await customer.buy()
    await world.stack["gateway"].stop()
    try:
        await customer.pay()
        await in_time(lambda: _was_tried(world), 20, "the webhook was not tried")
        world.note("gateway stopped")
    finally:
        await world.stack["gateway"].start()
    return str((await customer.until("dispatched"))["status"])


async def their_answers_are_lost(trip: Trip) -> str:
    proxy = trip.world.proxies["webhook"]
    customer = trip.customer()
    await customer.buy()
    proxy.cut_after(0, to="client")
    await customer.pay()
    order = await customer.until("dispatched")
    expect(proxy.hits["cut"], "an answer to be cut off")
    proxy.pass_through()
    return str(order["status"])


async def _pay_foreign_session(world: World, key: str | None) -> None:
    """A session of somebody else's making, paid: the audit wants its money back."""
    body = {
        "success_url": "http://localhost/",
        "cancel_url": "http://localhost/",
        "items": [{"description": "not ours", "quantity": 1, "price": 500}],
        "client_reference_id": key,
    }
    answer = await world.http.post(f"{world.payment}/api/create_payment_session", json=body)
    session_id = answer.json()["session_id"]
    answer = await world.http.post(f"{world.payment}/api/submit_payment", data={"session_id": session_id})
    expect(answer.status_code == 204, "the stranger's payment to be taken")

    async def is_given_back() -> bool | None:
        rows = await world.query("SELECT kind FROM payments.ledger WHERE session_id = $1", session_id)
        return True if sorted(row[0] for row in rows) == ["charge", "refund"] else None

    await in_time(is_given_back, 20, f"session {session_id} is not ours, was paid, and its money is kept")


async def _send(world: World, **webhook: Any) -> dict[str, Any]:
    answer = await world.http.post(f"{world.payment}/_faults/webhooks", json=webhook, timeout=30)
    answer.raise_for_status()
    world.note("webhook sent")
    return dict(answer.json())


async def _was_tried(world: World) -> bool | None:
    rows = await world.query("SELECT 1 FROM payments.deliveries WHERE status = 'pending' AND attempts > 0")
    return True if rows else None


async def _history_length(world: World, customer: Customer) -> int:
    return (await world.temporal.get_workflow_handle(customer.key).describe()).history_length


ROWS = [
    Row("Webhooks", run)
    for run in (
        a_hundred_copies_at_once_fulfil_once,
        duplicated_delayed_reordered_and_forged_on_the_way,
        lost_and_the_timeout_asks_the_provider,
        expired_after_paid_and_completed_before_paid,
        forged_stale_future_altered_and_unsigned_are_refused_without_a_trace,
        money_for_a_session_that_is_not_ours_is_given_back,
        money_for_a_second_session_under_the_key_of_a_live_checkout_is_given_back,
        redelivered_when_temporal_has_forgotten_the_checkout,
        nobody_at_home_when_they_come,
        their_answers_are_lost,
    )
]
