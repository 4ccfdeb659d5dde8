"""Worker and activities: zombies, locks held by the frozen, attempts that overlap, and steps that keep failing."""

import asyncio
import os
import signal

from runtime.failpoints import Boundary, Step
from tests.campaigns.chaos.catalogue.row import Row
from tests.campaigns.chaos.trip import Trip
from tests.campaigns.chaos.verdicts import expect
from tests.campaigns.chaos.world import World
from tests.campaigns.firing import Action


async def a_reservation_frozen_at_its_commit_thaws_after_the_order_was_cancelled(trip: Trip) -> str:
    return await _zombie_reservation(trip, Boundary.BEFORE_COMMIT)


async def a_reservation_frozen_at_its_start_thaws_after_the_order_was_cancelled(trip: Trip) -> str:
    return await _zombie_reservation(trip, Boundary.BEFORE)


async def _zombie_reservation(trip: Trip, boundary: Boundary) -> str:
    """Frozen past its timeout; another worker opens the order, the customer cancels it; then the first one goes on."""
    world = trip.world
    on_hand = await _on_hand(world)
    async with world.another("worker", "stand-in"):
        customer = trip.customer(cart={"pen": 3})
        arming = world.failpoints.arm(Step.OPEN_ORDER, boundary, Action.FREEZE)
        buying = asyncio.ensure_future(customer.buy())
        frozen = await world.failpoints.fired(arming)
        try:
            expect(await buying, "the other worker to open the session")
            expect(await customer.cancel(), "the order to be cancelled")
        finally:
            os.kill(frozen["pid"], signal.SIGCONT)
        await asyncio.sleep(1)  # the zombie's moment
        expect(await _on_hand(world) == on_hand, "every pen to be back")
    return str((await customer.look())["status"])


async def a_worker_frozen_with_a_products_row_locked_does_not_stop_other_buyers(trip: Trip) -> str:
    world = trip.world
    async with world.another("worker", "stand-in"):
        victim, other = trip.customer(), trip.customer(within=15)
        arming = world.failpoints.arm(Step.OPEN_ORDER, Boundary.BEFORE_COMMIT, Action.FREEZE)
        buying = asyncio.ensure_future(victim.buy())
        frozen = await world.failpoints.fired(arming)
        try:
            expect(await other.buy(), "the other buyer to be served")
        finally:
            os.kill(frozen["pid"], signal.SIGCONT)
        expect(await buying, "the victim to be served")
    await asyncio.gather(victim.pay(), other.pay())
    await asyncio.gather(victim.until("dispatched"), other.until("dispatched"))
    return "dispatched"


async def two_attempts_of_every_writing_step_overlap(trip: Trip) -> str:
    """Each is held up until its attempt has timed out and the next one runs; then both want to commit."""
    world = trip.world
    steps = (Step.OPEN_ORDER, Step.RECORD_SESSION, Step.FULFIL_ORDER)
    armings = [world.failpoints.arm(step, Boundary.BEFORE, Action.SLEEP, seconds=5) for step in steps]
    customer = trip.customer()
    expect(await customer.buy(), "a session")
    await customer.pay()
    order = await customer.until("dispatched")
    for arming in armings:
        await world.failpoints.fired(arming, within=1)
    return str(order["status"])


async def fulfilling_fails_until_an_operator_mends_it(trip: Trip) -> str:
    """A trigger that raises stands for whatever keeps the database from saying yes. The customer has paid."""
    world = trip.world
    await world.query(
        "CREATE FUNCTION shop.chaos() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'chaos' USING ERRCODE = 'disk_full'; END $$"
    )
    await world.query(
        "CREATE TRIGGER chaos BEFORE UPDATE ON shop.orders FOR EACH ROW"
        " WHEN (NEW.status = 'fulfilled') EXECUTE FUNCTION shop.chaos()"
    )
    try:
        customer = trip.customer()
        await customer.buy()
        await customer.pay()
        await asyncio.sleep(3)
        expect((await customer.look())["status"] == "awaiting_payment", "the order to wait, with its stock")
        world.note("database refuses")
    finally:
        await world.query("DROP FUNCTION shop.chaos() CASCADE")
    return str((await customer.until("dispatched"))["status"])


async def releasing_fails_until_an_operator_mends_it(trip: Trip) -> str:
    world = trip.world
    await world.query(
        "CREATE FUNCTION shop.chaos() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'chaos' USING ERRCODE = 'disk_full'; END $$"
    )
    await world.query(
        "CREATE TRIGGER chaos BEFORE UPDATE ON shop.reservations FOR EACH ROW"
        " WHEN (NEW.state = 'released') EXECUTE FUNCTION shop.chaos()"
    )
    try:
        customer = trip.customer()
        await customer.buy()
        await customer.leave()
        await asyncio.sleep(3)
        expect((await customer.look())["status"] == "awaiting_payment", "the order to wait")
        world.note("database refuses")
    finally:
        await world.query("DROP FUNCTION shop.chaos() CASCADE")
    return str((await customer.until("cancelled"))["status"])


async def _on_hand(world: World) -> int:
    return int((await world.query("SELECT on_hand FROM shop.products WHERE sku = 'pen'"))[0][0])


ROWS = [
    Row("Worker", run)
    for run in (
        a_reservation_frozen_at_its_commit_thaws_after_the_order_was_cancelled,
        a_reservation_frozen_at_its_start_thaws_after_the_order_was_cancelled,
        a_worker_frozen_with_a_products_row_locked_does_not_stop_other_buyers,
        two_attempts_of_every_writing_step_overlap,
        fulfilling_fails_until_an_operator_mends_it,
        releasing_fails_until_an_operator_mends_it,
    )
]
