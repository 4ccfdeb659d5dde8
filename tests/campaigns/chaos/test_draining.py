"""SIGTERM to a real process in the middle of a customer's request: what it is at, it ends. Figures: `make cluster`."""

import asyncio

from runtime.failpoints import Boundary, Step
from tests.campaigns.chaos.customer import Customer
from tests.campaigns.chaos.world import World
from tests.campaigns.firing import Action


async def test_a_worker_that_is_asked_to_end_ends_the_step_that_it_is_at(world: World, hasty: str) -> None:
    async with world.another("worker", "second-worker"):
        arming = world.failpoints.arm(Step.CREATE_AT_PROVIDER, Boundary.BEFORE, Action.SLEEP, seconds=1.5)
        customer = Customer(world)
        buying = asyncio.ensure_future(customer.buy())
        firing = await world.failpoints.fired(arming)
        name = next(one for one in ("worker", "second-worker") if world.pid(one) == firing["pid"])
        await world.restart(name)
        assert await buying
        world.failpoints.disarm()
        history = await world.temporal.get_workflow_handle(customer.key).fetch_history()
        cut_off = [one for one in history.events if one.HasField("workflow_task_timed_out_event_attributes")]
        assert not cut_off, "its task was left to time out, and begun again elsewhere"
        await customer.pay()
        await customer.until("dispatched")
        await world.settled()
        await world.quiet()
        await customer.check()


async def test_a_gateway_that_is_asked_to_end_answers_whom_it_is_serving(world: World, hasty: str) -> None:
    arming = world.failpoints.arm(Step.START_CHECKOUT, Boundary.BEFORE, Action.SLEEP, seconds=1.0)
    customer = Customer(world, gateway=world.direct)
    asked = asyncio.ensure_future(world.http.post(f"{world.direct}/checkout/{customer.key}", timeout=15))
    await world.failpoints.fired(arming)
    await world.restart("gateway")
    answer = await asked
    world.failpoints.disarm()
    assert answer.status_code in (200, 202), answer.text
    assert answer.headers["idempotency-key"] == customer.key
    await customer.shop()
    await world.settled()
    await world.quiet()
    await customer.check()
