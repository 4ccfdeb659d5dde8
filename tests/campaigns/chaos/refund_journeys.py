"""Journeys on which money goes back, or takes days to come: each to its end, and what that end must be."""

from typing import Any

from tests.campaigns.chaos.interventions import give_back
from tests.campaigns.chaos.trip import Trip
from tests.campaigns.chaos.verdicts import expect, in_time


async def refund(trip: Trip) -> str:
    customer = trip.customer()
    expect(await customer.buy(), "a session")
    expect(await customer.pay(), "the payment to be taken")
    await customer.until("dispatched")
    url = f"{trip.world.gateway}/admin/orders/{customer.order_id}/refund"

    async def ask() -> str | None:
        answer = await trip.world.http.post(url, headers=trip.world.operator, timeout=15)
        return str(answer.json()["status"]) if answer.status_code == 200 else None

    expect(await in_time(ask, 60, "no refund") == "refunded", "the refund")
    order = await customer.until("refunded")
    return f"{order['status']}:{order['reason']}"


async def refused_refund(trip: Trip) -> str:
    """The provider refuses an operator's refund: nothing moves, and asked again it is made."""
    customer = trip.customer()
    expect(await customer.buy(), "a session")
    expect(await customer.pay(), "the payment to be taken")
    await customer.until("dispatched")
    rule = await trip.world.plant("refund.before", "error", status=400)
    url = f"{trip.world.gateway}/admin/orders/{customer.order_id}/refund"

    async def ask() -> bool | None:
        answer = await trip.world.http.post(url, headers=trip.world.operator, timeout=15)
        return True if answer.status_code == 200 and answer.json()["status"] == "refunded" else None

    await in_time(ask, 60, "no refund")
    await trip.world.planted(rule)
    order = await customer.until("refunded")
    return f"{order['status']}:{order['reason']}"


async def refund_without_news(trip: Trip) -> str:
    """A refund is on its way, succeeds, and no webhook tells: the sweep has it looked at."""
    world, customer = trip.world, trip.customer()
    expect(await customer.buy(), "a session")
    expect(await customer.pay(), "the payment to be taken")
    await customer.until("dispatched")
    body = {"session_id": customer.session_id, "status": "pending"}
    made = (await world.http.post(f"{world.payment}/_faults/refund", json=body)).raise_for_status().json()

    async def is_known() -> bool | None:
        looked = f"SELECT count(*) FROM shop.refunds WHERE provider_refund_id = '{made['id']}'"
        return True if int((await world.query(looked))[0][0]) else None

    await in_time(is_known, 60, "the refund is not known")
    rule = await world.plant("webhook", "lose", times=10)
    become = {"id": made["id"], "status": "succeeded"}
    (await world.http.post(f"{world.payment}/_faults/become", json=become)).raise_for_status()
    due = "UPDATE shop.payments SET look_at = clock_timestamp() WHERE order_id = $1 AND look_at > clock_timestamp()"

    async def is_found_out() -> dict[str, Any] | None:
        await world.query(due, customer.order_id)  # nobody waits for half a minute, or a whole one
        order = await customer.look()
        return order if order["status"] == "refunded" else None

    order = await in_time(is_found_out, 60, "nobody looked at the refund")
    await world.planted(rule)
    return f"{order['status']}:{order['reason']}"


async def bank_debit(trip: Trip) -> str:
    """The customer orders a payment that takes days; days later the money is there."""
    world, customer = trip.world, trip.customer()
    expect(await customer.buy(), "a session")
    form = {"session_id": customer.session_id, "payment_method": "pm_usBankAccount_processing"}
    (await world.http.post(f"{world.payment}/api/submit_payment", data=form)).raise_for_status()
    await customer.until("payment_processing")
    become = {"id": customer.session_id, "status": "succeeded"}
    (await world.http.post(f"{world.payment}/_faults/become", json=become)).raise_for_status()
    return str((await customer.until("dispatched"))["status"])


async def refund_elsewhere(trip: Trip) -> str:
    """Somebody gives the money back in the payment service's dashboard: the order must follow."""
    customer = trip.customer()
    expect(await customer.buy(), "a session")
    expect(await customer.pay(), "the payment to be taken")
    await customer.until("dispatched")
    await give_back(trip.world, customer)
    order = await customer.until("refunded")
    return f"{order['status']}:{order['reason']}"
