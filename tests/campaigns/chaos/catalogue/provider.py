"""The payment service: every wrong answer at every call, lies, silence, and money at the wrong moment."""

import asyncio

from tests.campaigns.chaos.catalogue.row import Row
from tests.campaigns.chaos.interventions import force_payment
from tests.campaigns.chaos.journeys import abandon, cancel, late_money, pay
from tests.campaigns.chaos.trip import Journey, Trip
from tests.campaigns.chaos.verdicts import expect, in_time

# point suffix, action, further parameters. Each is a way not to get an answer, before or after the deed.
WRONG_ANSWERS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("before", "error", {"status": 500, "times": 2}),
    ("before", "error", {"status": 429}),
    ("before", "error", {"status": 409}),
    ("before", "drop", {}),
    ("after", "error", {"status": 503}),
    ("after", "drop", {"times": 2}),
    ("after", "redirect", {}),
    ("after", "huge_body", {}),
    ("after", "broken_body", {}),
)


async def _survive_wrong_answers(trip: Trip, operation: str, journey: Journey) -> str:
    ends = set()
    for when, action, rule in WRONG_ANSWERS:
        planted = await trip.world.plant(f"{operation}.{when}", action, **rule)
        ends.add(await journey(trip))
        await trip.world.planted(planted)
    return ", ".join(sorted(ends))


async def every_wrong_answer_to_the_creation_of_a_session(trip: Trip) -> str:
    return await _survive_wrong_answers(trip, "create", pay)


async def every_wrong_answer_to_a_look_at_a_session(trip: Trip) -> str:
    return await _survive_wrong_answers(trip, "retrieve", pay)


async def every_wrong_answer_to_the_closing_of_a_session(trip: Trip) -> str:
    return await _survive_wrong_answers(trip, "expire", cancel)


async def every_wrong_answer_to_a_refund(trip: Trip) -> str:
    return await _survive_wrong_answers(trip, "refund", late_money)


async def a_session_refused_for_good_returns_the_stock(trip: Trip) -> str:
    planted = await trip.world.plant("create.before", "error", status=400)
    customer = trip.customer()
    expect(not await customer.buy() and customer.refusal == 502, "502")
    await trip.world.planted(planted)
    rows = await trip.world.query("SELECT status, reason FROM shop.orders WHERE checkout_key = $1", customer.key)
    expect(tuple(rows[0]) == ("rejected", "payment_unavailable"), "the order to be rejected")
    return "rejected:payment_unavailable"


async def a_stored_error_hides_a_session_that_exists_and_is_found(trip: Trip) -> str:
    planted = await trip.world.plant("create.after", "sticky_error", status=500)
    end = await pay(trip)
    await trip.world.planted(planted)
    return end


async def the_creation_is_slower_than_our_patience(trip: Trip) -> str:
    """It commits after we gave up; in between, the same key is answered 409 "in flight"."""
    planted = await trip.world.plant("create.before", "delay", delay_seconds=8)
    end = await pay(trip)
    await trip.world.planted(planted)
    return end


async def paid_before_we_are_told_of_the_session(trip: Trip) -> str:
    planted = await trip.world.plant("create.after", "pay")
    customer = trip.customer()
    await customer.buy()
    customer.has_paid = True
    end = str((await customer.until("dispatched"))["status"])
    await trip.world.planted(planted)
    return end


async def another_amount_currency_or_order_is_given_back(trip: Trip) -> str:
    ends = set()
    for change in ({"amount_total": 1}, {"currency": "eur"}, {"metadata.order_id": "ord_of_somebody_else"}):
        planted = await trip.world.plant("create.before", "alter", set=change)
        customer = trip.customer()
        await customer.buy()
        await customer.pay()
        order = await customer.until("refunded")
        await trip.world.planted(planted)
        ends.add(f"{order['status']}:{order['reason']}")
    return ", ".join(sorted(ends))


async def complete_but_unpaid_ships_nothing(trip: Trip) -> str:
    """Complete without money is a payment under way: the deadline does not end it, the bank does, days later."""
    planted = await trip.world.plant("pay.before", "complete_unpaid")
    customer = trip.customer(gateway=trip.hasty)
    await customer.buy()
    await customer.pay()
    customer.has_paid = False
    await customer.until("payment_processing")
    await trip.world.planted(planted)
    failed = {"id": customer.session_id, "status": "failed"}
    (await trip.world.http.post(f"{trip.world.payment}/_faults/become", json=failed)).raise_for_status()
    order = await customer.until("cancelled")
    return f"{order['status']}:{order['reason']}"


async def silent_when_the_time_is_up_keeps_the_stock(trip: Trip) -> str:
    world = trip.world
    customer = trip.customer(gateway=trip.hasty)
    await customer.buy()
    world.proxies["payment"].blackhole()
    await asyncio.sleep(5)
    expect((await customer.look())["status"] == "awaiting_payment", "the stock to be kept until the provider's word")
    expect(world.proxies["payment"].hits["blackhole"], "something to be swallowed")
    world.proxies["payment"].pass_through()
    return str((await customer.until("cancelled"))["status"])


async def paid_while_the_closing_is_on_its_way(trip: Trip) -> str:
    """The expire request has begun and is held; the payment comes first. "Already complete" means fulfil."""
    world = trip.world
    held = await world.plant("expire.before", "hold", times=None)  # the worker's second attempt as well
    customer = trip.customer(gateway=trip.hasty)
    await customer.buy()
    await in_time(lambda: _is_holding(trip, held), 20, "the closing did not come")
    expect(await customer.pay(), "the payment to be taken")
    await world.planted(held)  # which takes it away, and so lets go what is held
    return str((await customer.until("dispatched"))["status"])


async def closed_while_the_payment_is_on_its_way(trip: Trip) -> str:
    """The payment request has begun and is held; the closing comes first, and the payment is refused."""
    world = trip.world
    held = await world.plant("pay.before", "hold")
    customer = trip.customer(gateway=trip.hasty)
    await customer.buy()
    paying = asyncio.ensure_future(customer.pay())
    await in_time(lambda: _is_holding(trip, held), 20, "the payment did not come")
    order = await customer.until("cancelled")
    await world.http.post(f"{world.payment}/_faults/release", json={"id": held})
    expect(not await paying, "the payment to be refused")
    await world.planted(held)
    return f"{order['status']}:{order['reason']}"


async def money_after_the_timeout_is_given_back(trip: Trip) -> str:
    await abandon(trip)
    customer = trip.customers[-1]
    await force_payment(trip.world, customer)
    order = await customer.until("refunded")
    return f"{order['status']}:{order['reason']}"


async def _is_holding(trip: Trip, rule_id: int) -> bool | None:
    rules = (await trip.world.http.get(f"{trip.world.payment}/_faults")).json()["rules"]
    return True if any(rule["id"] == rule_id and rule["holding"] for rule in rules) else None


ROWS = [
    Row("Payment service", run)
    for run in (
        every_wrong_answer_to_the_creation_of_a_session,
        every_wrong_answer_to_a_look_at_a_session,
        every_wrong_answer_to_the_closing_of_a_session,
        every_wrong_answer_to_a_refund,
        a_session_refused_for_good_returns_the_stock,
        a_stored_error_hides_a_session_that_exists_and_is_found,
        the_creation_is_slower_than_our_patience,
        paid_before_we_are_told_of_the_session,
        another_amount_currency_or_order_is_given_back,
        complete_but_unpaid_ships_nothing,
        silent_when_the_time_is_up_keeps_the_stock,
        paid_while_the_closing_is_on_its_way,
        closed_while_the_payment_is_on_its_way,
        money_after_the_timeout_is_given_back,
    )
]
