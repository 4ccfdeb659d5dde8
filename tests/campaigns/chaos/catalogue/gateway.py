"""Gateway and browser: clicks, keys, lost answers, and a shop without a worker."""

import asyncio

from tests.campaigns.chaos.catalogue.row import Row
from tests.campaigns.chaos.interventions import forget
from tests.campaigns.chaos.journeys import cancel, pay
from tests.campaigns.chaos.trip import Trip
from tests.campaigns.chaos.verdicts import expect, in_time


async def fifty_clicks_at_once_make_one_order_and_identical_answers(trip: Trip) -> str:
    customer = trip.customer()
    await asyncio.gather(*(customer.buy() for _ in range(50)))
    expect(len(customer.answers) == 50 and len(set(customer.answers)) == 1, "fifty identical answers")
    orders = await trip.world.query("SELECT count(*) FROM shop.orders WHERE checkout_key = $1", customer.key)
    expect(orders[0][0] == 1, "one order")
    await customer.pay()
    return str((await customer.until("dispatched"))["status"])


async def the_key_of_another_cart_is_refused_and_the_first_checkout_untouched(trip: Trip) -> str:
    customer = trip.customer()
    await customer.buy()
    other = {"items": [{"sku": "pen", "quantity": 2}]}
    answer = await trip.world.http.post(f"{trip.world.gateway}/checkout/{customer.key}", json=other)
    expect(answer.status_code == 422, f"422, not {answer.status_code}")
    await customer.pay()
    return str((await customer.until("dispatched"))["status"])


async def the_key_answers_the_same_after_every_end(trip: Trip) -> str:
    ends = [await pay(trip), await cancel(trip)]
    for customer in trip.customers:
        await customer.buy()
        expect(len(set(customer.answers)) == 1, "the stored answer")
    return ", ".join(ends)


async def the_key_answers_the_same_after_temporal_has_forgotten_it(trip: Trip) -> str:
    await pay(trip)
    customer = trip.customers[0]
    await forget(trip.world, customer.key)
    await customer.buy()
    expect(len(set(customer.answers)) == 1, "the stored answer")
    return str((await customer.look())["status"])


async def the_answer_to_buy_is_lost_on_its_way(trip: Trip) -> str:
    proxy = trip.world.proxies["gateway"]
    customer = trip.customer()
    proxy.cut_after(0, to="client")
    buying = asyncio.ensure_future(customer.buy())
    await in_time(lambda: _hit(trip, "cut"), 20, "no answer was cut off")
    await asyncio.sleep(0.5)
    proxy.pass_through()
    expect(await buying, "a session")
    await customer.pay()
    return str((await customer.until("dispatched"))["status"])


async def without_a_worker_buy_is_accepted_and_goes_on_when_one_comes(trip: Trip) -> str:
    world = trip.world
    await world.stack["worker"].stop()
    try:
        customer = trip.customer()
        answer = await world.http.post(f"{world.gateway}/checkout/{customer.key}", json={}, timeout=15)
        expect(answer.status_code == 202 and answer.headers["retry-after"], f"202, not {answer.status_code}")
        world.note("worker stopped")
    finally:
        await world.stack["worker"].start()
    expect(await customer.buy(), "a session")
    await customer.pay()
    return str((await customer.until("dispatched"))["status"])


async def a_customer_who_pays_and_closes_the_browser_gets_the_goods(trip: Trip) -> str:
    world = trip.world
    customer = trip.customer()
    await customer.buy()
    await customer.pay()

    async def ask() -> str | None:
        rows = await world.query("SELECT status FROM shop.orders WHERE id = $1", customer.order_id)
        return str(rows[0][0]) if rows[0][0] == "dispatched" else None

    return await in_time(ask, 30, "the order was not dispatched")


async def the_gateway_half_closes_and_resets_while_customers_buy(trip: Trip) -> str:
    proxy = trip.world.proxies["gateway"]
    customers = [trip.customer() for _ in range(5)]
    buying = asyncio.gather(*(customer.buy() for customer in customers))
    for _ in range(10):
        await asyncio.sleep(0.05)
        proxy.half_close(to="server")
        await asyncio.sleep(0.05)
        proxy.reset()
        proxy.pass_through()
    await buying
    expect(proxy.hits["reset"], "a connection to be reset")
    await asyncio.gather(*(customer.pay() for customer in customers))
    await asyncio.gather(*(customer.until("dispatched") for customer in customers))
    return "dispatched"


async def _hit(trip: Trip, what: str) -> bool | None:
    return True if trip.world.proxies["gateway"].hits[what] else None


ROWS = [
    Row("Gateway", run)
    for run in (
        fifty_clicks_at_once_make_one_order_and_identical_answers,
        the_key_of_another_cart_is_refused_and_the_first_checkout_untouched,
        the_key_answers_the_same_after_every_end,
        the_key_answers_the_same_after_temporal_has_forgotten_it,
        the_answer_to_buy_is_lost_on_its_way,
        without_a_worker_buy_is_accepted_and_goes_on_when_one_comes,
        a_customer_who_pays_and_closes_the_browser_gets_the_goods,
        the_gateway_half_closes_and_resets_while_customers_buy,
    )
]
