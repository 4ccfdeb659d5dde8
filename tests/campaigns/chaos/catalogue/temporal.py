"""Temporal: cancelled, terminated, deleted, down, killed, emptied, and signalled with nonsense."""

import asyncio
import signal
from datetime import timedelta

from temporalio.service import RPCError

from tests.campaigns.chaos.catalogue.row import Row
from tests.campaigns.chaos.interventions import forget
from tests.campaigns.chaos.journeys import orphan, orphan_without_news
from tests.campaigns.chaos.trip import Trip
from tests.campaigns.chaos.verdicts import expect, in_time

_RPC = timedelta(seconds=5)


async def cancelled_in_the_ui_while_it_waits_for_the_money(trip: Trip) -> str:
    customer = trip.customer()
    await customer.buy()
    await trip.world.temporal.get_workflow_handle(customer.key).cancel(rpc_timeout=_RPC)
    order = await customer.until("cancelled")
    expect(order["reason"] == "operator", "the operator's wish to be on record")
    expect(not await customer.pay(), "the session to be closed")
    return f"{order['status']}:{order['reason']}"


async def cancelled_in_the_ui_at_any_moment_of_its_life(trip: Trip) -> str:
    """Some end cancelled, some fulfilled: what counts is that each is one of the two, whole."""
    world, ends = trip.world, []
    for number in range(12):
        customer = trip.customer()
        travelling = asyncio.ensure_future(customer.buy())
        await asyncio.sleep(0.012 * number)
        try:
            await world.temporal.get_workflow_handle(customer.key).cancel(rpc_timeout=_RPC)
            world.note("cancelled in the UI")
        except RPCError:
            pass  # not begun yet
        if await travelling:
            await customer.pay()
            ends.append((await customer.until())["status"])
        else:
            ends.append("refused")
    return ", ".join(sorted(set(ends)))


async def terminated_and_found_by_the_webhook(trip: Trip) -> str:
    return await orphan(trip)


async def terminated_and_found_by_the_sweep(trip: Trip) -> str:
    return await orphan_without_news(trip)


async def deleted_with_its_history_and_then_paid(trip: Trip) -> str:
    customer = trip.customer()
    await customer.buy()
    await forget(trip.world, customer.key)
    await customer.pay()
    return str((await customer.until("dispatched"))["status"])


async def undecodable_unknown_and_endless_signals(trip: Trip) -> str:
    world = trip.world
    customer = trip.customer()
    await customer.buy()
    handle = world.temporal.get_workflow_handle(customer.key)
    await handle.signal("payment_event", {"not": ["a", "string"]}, rpc_timeout=_RPC)
    await handle.signal("payment_event", rpc_timeout=_RPC)
    await handle.signal("no_such_signal", "?", rpc_timeout=_RPC)
    for batch in range(8):
        await asyncio.gather(*(handle.signal("payment_event", f"evt_{batch}_{n}") for n in range(100)))
    world.note("nonsense signals")
    expect((await customer.look())["status"] == "awaiting_payment", "the order to wait on")
    await customer.pay()
    return str((await customer.until("dispatched"))["status"])


async def down_when_the_webhook_comes(trip: Trip) -> str:
    """The event is answered 503 and sent again: nothing is lost."""
    world = trip.world
    customer = trip.customer()
    await customer.buy()
    await world.stack["temporal"].stop()
    try:
        expect(await customer.pay(), "the payment to be taken")
        await in_time(lambda: _was_refused(trip), 20, "the webhook was not refused")
        world.note("temporal stopped")
    finally:
        await world.stack["temporal"].start()
    return str((await customer.until("dispatched"))["status"])


async def _was_refused(trip: Trip) -> bool | None:
    rows = await trip.world.query("SELECT 1 FROM payments.deliveries WHERE status = 'pending' AND attempts > 0")
    return True if rows else None


async def killed_while_customers_are_on_their_way(trip: Trip) -> str:
    world = trip.world
    customers = [trip.customer() for _ in range(6)]
    buying = asyncio.gather(*(customer.buy() for customer in customers))
    await asyncio.sleep(0.1)
    await world.kill("temporal")
    await buying
    await world.kill("temporal", signal.SIGKILL)
    await asyncio.gather(*(customer.pay() for customer in customers))
    await asyncio.gather(*(customer.until("dispatched") for customer in customers))
    return "dispatched"


async def emptied_of_everything_it_knew(trip: Trip) -> str:
    """The file is gone: PostgreSQL alone must be enough to bring every order to its end."""
    world = trip.world
    async with world.another("gateway", "patient-gateway", CHECKOUT_PAYMENT_TIMEOUT="8") as patient:
        paying, leaving = trip.customer(), trip.customer(gateway=patient)
        await asyncio.gather(paying.buy(), leaving.buy())
        await world.stack["temporal"].stop()
        files = list((world.stack.config.data_dir / "temporal").glob("*"))
        for file in files:
            file.unlink()
        await paying.pay()
        await world.stack["temporal"].start()
        leaving.move_to(world.gateway)
        expect(files and (await leaving.look())["status"] == "awaiting_payment", "orders that nobody looks after")
        world.note("temporal emptied")
        ends = [await paying.until("dispatched"), await leaving.until("cancelled")]
    return ", ".join(str(order["status"]) for order in ends)


async def out_of_reach_and_back(trip: Trip) -> str:
    """The network between us and Temporal swallows everything, living connections included."""
    world = trip.world
    customer = trip.customer()
    world.proxies["temporal"].blackhole()
    buying = asyncio.ensure_future(customer.buy())
    await asyncio.sleep(4)
    expect(not buying.done(), "no answer while Temporal is away")
    expect(world.proxies["temporal"].hits["blackhole"], "something to be swallowed")
    world.proxies["temporal"].pass_through()
    expect(await buying, "a session")
    await customer.pay()
    return str((await customer.until("dispatched"))["status"])


ROWS = [
    Row("Temporal", run)
    for run in (
        cancelled_in_the_ui_while_it_waits_for_the_money,
        cancelled_in_the_ui_at_any_moment_of_its_life,
        terminated_and_found_by_the_webhook,
        terminated_and_found_by_the_sweep,
        deleted_with_its_history_and_then_paid,
        undecodable_unknown_and_endless_signals,
        down_when_the_webhook_comes,
        killed_while_customers_are_on_their_way,
        emptied_of_everything_it_knew,
        out_of_reach_and_back,
    )
]
