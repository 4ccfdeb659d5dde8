"""After a schedule: let everything come to its end, then compare the ledgers (the numbers are those of faults.md)."""

import asyncio
import time
from datetime import timedelta

from checkout.ids import refund_workflow_id, settlement_workflow_id
from checkout.orders import Order, OrderStatus
from checkout.payments import SessionStatus
from db.audit import audit_ledgers
from tests.campaigns.schedules.actors import Actors, Violated
from tests.campaigns.schedules.world import PAYMENT_TIMEOUT, World
from worker import warehouse

_KEPT = (OrderStatus.FULFILLED, OrderStatus.DISPATCHED)
_ROUNDS = 8
_PATIENCE = 4.0  # seconds, real, for what needs no skipping


async def quiesce(world: World, actors: Actors) -> None:
    """No more faults; every event that is still under way arrives; clocks run out. Raises `Violated` if some order
    has not ended by then (6)."""
    world.provider.heal()
    await asyncio.sleep(0)
    for _ in range(_ROUNDS):
        await _deliver_all(actors)
        await _idle(world)
        found = await world.orders()
        if not (actors.events or any(order.status.is_live for order in found) or await _running(world, actors)):
            break
        await world.sweep()
        await world.skip(PAYMENT_TIMEOUT + 120)
    else:
        raise Violated(f"6: not at an end: {await world.orders()}, running: {await _running(world, actors)}")
    await _dispatch_all(world)


async def _deliver_all(actors: Actors) -> None:
    under_way, actors.events = actors.events, []
    for event in under_way:
        await actors.deliver(event)


async def _dispatch_all(world: World) -> None:
    await warehouse.dispatch(world.engine)
    if any(order.status is OrderStatus.FULFILLED for order in await world.orders()):
        raise Violated(f"6: not dispatched: {await world.orders()}")


async def _idle(world: World) -> None:
    """Until nothing changes for a moment: no order's status and no call to the payment service."""
    until, last = time.monotonic() + _PATIENCE, None
    while time.monotonic() < until:
        seen = ([order.status for order in await world.orders()], len(world.provider.calls))
        if seen == last:
            return
        last = seen
        await asyncio.sleep(0.03)


async def _running(world: World, actors: Actors) -> list[str]:
    sessions = world.provider.sessions.values()
    told = [name for one in sessions for name in (one.session_id, one.payment_intent_id) if name is not None]
    subjects = [settlement_workflow_id(name) for name in told]
    for order in await world.orders():
        subjects += [settlement_workflow_id(order.order_id), refund_workflow_id(order.order_id)]
    return [name for name in [*(one.key for one in actors.customers), *subjects] if await world.is_running(name)]


async def check(world: World, actors: Actors) -> None:
    """Raises `Violated`, with the invariant's number."""
    found = {order.order_id: order for order in await world.orders()}
    _check_money(world, found)
    for order in found.values():
        world.counts[f"outcome {order.status}:{order.reason}" if order.reason else f"outcome {order.status}"] += 1
    async with world.engine.connect() as connection:
        for finding in await audit_ledgers(connection, timedelta(0)):
            if finding.violations:
                raise Violated(f"{finding.number}: {finding.name}: {finding.violations}")
    if running := await _running(world, actors):
        raise Violated(f"10: still running: {running}")
    for customer in actors.customers:
        if customer.cart is not None:
            await actors.click(customer)  # 7: the same answer, after every end


def _check_money(world: World, found: dict[str, Order]) -> None:
    provider = world.provider
    for intent, charges in provider.charges.items():
        if len(charges) > 1 and sum(charges) != charges[0]:
            raise Violated(f"1: payment {intent} was charged {charges}")
        if len(provider.refunds.get(intent, [])) > 1:
            raise Violated(f"2: payment {intent} was given back {provider.refunds[intent]}")
    sessions_of = {order.order_id: order.session.session_id for order in found.values() if order.session is not None}
    own = {session_id: order_id for order_id, session_id in sessions_of.items()}
    if lost := set(provider.by_key.values()) - set(own):
        # A session that no order recorded: it may not be payable, nor have been paid.
        for session_id in lost:
            if provider.sessions[session_id].status is SessionStatus.OPEN:
                raise Violated(f"5: session {session_id} is in no order and can still be paid")
    for session_id, session in provider.sessions.items():
        order = found.get(own.get(session_id, ""))
        balance = provider.balance(session_id)
        expected = order.amount_total if order is not None and order.status in _KEPT else 0
        if balance != expected:
            raise Violated(f"2: session {session_id} ({session.status}) of {order}: kept {balance}, not {expected}")
        if session.status is SessionStatus.OPEN and (order is None or not order.status.is_live):
            raise Violated(f"5: session {session_id} of {order} can still be paid")
