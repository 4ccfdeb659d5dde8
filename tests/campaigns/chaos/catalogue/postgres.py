"""PostgreSQL: restarted in mid-transaction, its COMMIT's reply lost, swallowed by the network, too few connections."""

import asyncio
import signal

from runtime.failpoints import Boundary, Step
from tests.campaigns.chaos.catalogue.row import Row
from tests.campaigns.chaos.journeys import cancel, late_money, pay
from tests.campaigns.chaos.trip import Journey, Trip
from tests.campaigns.chaos.verdicts import expect, in_time
from tests.campaigns.chaos.world import World
from tests.campaigns.firing import Action


async def restarted_at_once_in_the_middle_of_each_transaction(trip: Trip) -> str:
    ends = set()
    for step in (Step.OPEN_ORDER, Step.RECORD_SESSION, Step.FULFIL_ORDER):
        arming = trip.world.failpoints.arm(step, Boundary.BEFORE_COMMIT, Action.SLEEP, seconds=1)
        travelling = asyncio.ensure_future(pay(trip))
        await trip.world.failpoints.fired(arming)
        await trip.world.kill(
            "postgres", signal.SIGQUIT
        )  # pg_ctl restart -m immediate, and the supervisor's part of it
        ends.add(await travelling)
    return ", ".join(ends)


async def the_reply_to_the_commit_of_each_step_is_lost(trip: Trip) -> str:
    ways: dict[Step, Journey] = {
        Step.OPEN_ORDER: pay,
        Step.RECORD_SESSION: pay,
        Step.FULFIL_ORDER: pay,
        Step.DISPATCH_ORDER: pay,
        Step.RELEASE_ORDER: cancel,
        Step.RECORD_DEBT: late_money,
        Step.RECORD_REFUND: late_money,
    }
    ends = set()
    proxy = trip.world.proxies["postgres"]
    for step, journey in ways.items():
        arming = trip.world.failpoints.arm(step, Boundary.BEFORE_COMMIT, Action.SLEEP, seconds=0.5)
        travelling = asyncio.ensure_future(journey(trip))
        await trip.world.failpoints.fired(arming)
        before = proxy.hits["cut"]
        # All that the worker still sends on this connection is COMMIT: it arrives, and the answer does not.
        proxy.cut_after(0, to="client")
        await in_time(lambda: _more(proxy.hits["cut"], before), 10, "no reply was cut off")  # noqa: B023
        await asyncio.sleep(0.7)
        proxy.pass_through()
        ends.add(await travelling)
    return ", ".join(sorted(ends))


async def swallowed_by_the_network_for_a_while(trip: Trip) -> str:
    """Longer than every limit on a statement, an attempt and a request."""
    proxy = trip.world.proxies["postgres"]
    customers = [trip.customer() for _ in range(4)]
    await customers[0].buy()
    buying = asyncio.gather(*(customer.buy() for customer in customers[1:]))
    await asyncio.sleep(0.05)
    proxy.blackhole()
    await customers[0].pay()
    await asyncio.sleep(7)
    expect(proxy.hits["blackhole"], "something to be swallowed")
    proxy.pass_through()
    await buying
    await asyncio.gather(*(customer.pay() for customer in customers[1:]))
    await asyncio.gather(*(customer.until("dispatched") for customer in customers))
    return "dispatched"


async def reset_by_the_network_again_and_again(trip: Trip) -> str:
    proxy = trip.world.proxies["postgres"]
    customers = [trip.customer() for _ in range(4)]
    shopping = asyncio.gather(*(customer.shop() for customer in customers))
    for _ in range(10):
        await asyncio.sleep(0.2)
        proxy.reset()
        proxy.pass_through()
    await shopping
    expect(proxy.hits["reset"], "a connection to be reset")
    return "dispatched"


async def forty_buyers_of_ten_units_get_exactly_ten(trip: Trip) -> str:
    world = trip.world
    await _restock_to_ten(world)
    customers = [trip.customer(cart={"limited-print": 1}) for _ in range(40)]
    got = await asyncio.gather(*(customer.buy() for customer in customers))
    expect(sum(got) == 10, f"ten sessions, not {sum(got)}")
    expect({c.refusal for c, has in zip(customers, got, strict=True) if not has} == {409}, "the others to be told 409")
    lucky = [customer for customer, has in zip(customers, got, strict=True) if has]
    await asyncio.gather(*(customer.pay() for customer in lucky))
    await asyncio.gather(*(customer.until("dispatched") for customer in lucky))
    return "dispatched, rejected:out_of_stock"


async def a_gateway_with_a_single_connection_sells_whole_or_not_at_all(trip: Trip) -> str:
    async with trip.world.another("gateway", "narrow-gateway", CHECKOUT_DATABASE_POOL_SIZE="1") as narrow:
        customers = [trip.customer(gateway=narrow) for _ in range(20)]
        await asyncio.gather(*(customer.shop() for customer in customers))
        await trip.check()
        for customer in customers:
            customer.move_to(trip.world.gateway)
    return "dispatched"


async def restocked_and_repriced_in_the_middle_of_a_checkout(trip: Trip) -> str:
    world = trip.world
    customer = trip.customer()
    await customer.buy()
    await world.query("UPDATE shop.products SET unit_amount = unit_amount + 1 WHERE sku = 'pen'")
    try:
        body = {"sku": "pen", "quantity": 5}
        await world.http.post(f"{world.gateway}/admin/restock", json=body, headers=world.operator)
        await customer.pay()
        order = await customer.until("dispatched")
        expect(order["amount_total"] == customer.checkout["amount_total"] == 1000, "the price that was agreed")
    finally:
        await world.query("UPDATE shop.products SET unit_amount = unit_amount - 1 WHERE sku = 'pen'")
    return str(order["status"])


async def _restock_to_ten(world: World) -> None:
    on_hand = int((await world.query("SELECT on_hand FROM shop.products WHERE sku = 'limited-print'"))[0][0])
    if on_hand < 10:
        body = {"sku": "limited-print", "quantity": 10 - on_hand}
        answer = await world.http.post(f"{world.direct}/admin/restock", json=body, headers=world.operator)
        answer.raise_for_status()


async def _more(now: int, before: int) -> bool | None:
    return True if now > before else None


ROWS = [
    Row("PostgreSQL", run)
    for run in (
        restarted_at_once_in_the_middle_of_each_transaction,
        the_reply_to_the_commit_of_each_step_is_lost,
        swallowed_by_the_network_for_a_while,
        reset_by_the_network_again_and_again,
        forty_buyers_of_ten_units_get_exactly_ten,
        a_gateway_with_a_single_connection_sells_whole_or_not_at_all,
        restocked_and_repriced_in_the_middle_of_a_checkout,
    )
]
