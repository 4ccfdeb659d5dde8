"""The campaign itself can fail: a fault that does not happen is void, a violation is seen, a lie to a customer too."""

from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from runtime.failpoints import Boundary, Step
from tests.campaigns.chaos import customer as customers
from tests.campaigns.chaos.campaign import scenarios
from tests.campaigns.chaos.catalogue.row import Row, run_row
from tests.campaigns.chaos.customer import Customer
from tests.campaigns.chaos.journeys import JOURNEY_OF
from tests.campaigns.chaos.matrix import ACTIONS, cells
from tests.campaigns.chaos.trip import Trip
from tests.campaigns.chaos.verdicts import Violated, Void
from tests.campaigns.chaos.world import World
from tests.campaigns.firing import Action
from tests.campaigns.registry import STEPS


def test_the_matrix_has_a_cell_for_every_boundary_and_action_and_a_journey_to_each() -> None:
    boundaries = sum(len(place.boundaries) for place in STEPS.values())
    assert len(list(cells())) == boundaries * len(ACTIONS)
    assert JOURNEY_OF.keys() == STEPS.keys()
    names = [scenario.name for scenario in scenarios()]
    assert len(names) == len(set(names))


async def test_a_failpoint_that_nobody_passes_makes_the_run_void(world: World) -> None:
    arming = world.failpoints.arm(Step.START_REFUND, Boundary.BEFORE, Action.LOSE)
    try:
        with pytest.raises(Void):
            await world.failpoints.fired(arming, within=0.3)
    finally:
        world.failpoints.disarm()


async def test_a_rule_of_the_payment_service_that_never_fired_makes_the_run_void(world: World) -> None:
    rule = await world.plant("refund.before", "drop")
    with pytest.raises(Void):
        await world.planted(rule)


async def test_stock_that_vanishes_is_seen(world: World, hasty: str) -> None:
    """What a naive build does, done by hand: the audit after the scenario must not be clean."""

    async def stock_vanishes(trip: Trip) -> str:
        await trip.world.query("UPDATE shop.products SET on_hand = on_hand - 1 WHERE sku = 'pen'")
        return ""

    try:
        with pytest.raises(Violated, match="pen"):
            await run_row(Row("Planted", stock_vanishes), world, hasty)
    finally:
        await world.query("UPDATE shop.products SET on_hand = on_hand + 1 WHERE sku = 'pen'")


ANSWER = b'{"order_id": "o", "session_id": "s"}'


def told(statuses: list[str], *, answers: list[bytes] | None = None, session: str = "pending") -> Customer:
    """A customer of a shop that says exactly this."""
    said, sold = iter(statuses), iter(answers or [])

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/orders/"):
            return httpx.Response(200, json={"status": next(said)})
        if request.url.path.startswith("/checkout/"):
            return httpx.Response(200, content=next(sold, ANSWER))
        return httpx.Response(200, json={"payment_status": session})

    http = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    world: Any = SimpleNamespace(http=http, gateway="http://shop", payment="http://pay")
    return Customer(cast(World, world), within=1)


async def test_a_customer_who_was_always_told_the_truth_is_content() -> None:
    customer = told(["awaiting_payment", "fulfilled", "dispatched"])
    await customer.buy()
    customer.has_paid = True
    await customer.look()
    await customer.look()
    await customer.check()


async def test_two_different_answers_to_one_key_are_a_lie() -> None:
    customer = told(["awaiting_payment"], answers=[ANSWER, ANSWER.replace(b'"o"', b'"another"')])
    await customer.buy()
    with pytest.raises(Violated, match="several answers"):
        await customer.check()


@pytest.mark.parametrize(
    ("before", "after"),
    [(before, after) for before, later in customers.AFTER.items() for after in customers.AFTER if after not in later],
)
async def test_an_order_that_goes_backwards_is_a_lie(before: str, after: str) -> None:
    customer = told([before, after], session="paid")
    await customer.buy()
    await customer.look()
    with pytest.raises(Violated, match="and then"):
        await customer.check()


async def test_a_payment_that_was_taken_for_a_cancelled_order_is_a_lie() -> None:
    customer = told(["cancelled"])
    await customer.buy()
    customer.has_paid = True
    with pytest.raises(Violated, match="was paid and is cancelled"):
        await customer.check()


async def test_goods_that_nobody_paid_for_are_a_violation() -> None:
    customer = told(["dispatched"], session="pending")
    await customer.buy()
    with pytest.raises(Violated, match="was not paid"):
        await customer.check()
