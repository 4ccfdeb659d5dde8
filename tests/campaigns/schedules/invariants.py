"""After a schedule: let everything come to its end, then compare the ledgers (the numbers are those of faults.md)."""

import asyncio
import time
from collections import defaultdict
from datetime import timedelta
from typing import Any

from checkout.ids import WHOLE_REFUND, refund_workflow_id, settlement_workflow_id
from checkout.orders import Order
from checkout.payments import RefundState
from checkout.sessions import SessionStatus
from db.audit import audit_ledgers
from tests.campaigns.schedules.actors import Actors, Violated
from tests.campaigns.schedules.world import PAYMENT_TIMEOUT, World
from worker import warehouse

# A debit that the bank never decides about is asked for, ever more rarely, until the end of time.
_OPEN = "SELECT payment_intent_id FROM shop.payments WHERE look_at IS NOT NULL AND state <> 'processing'"
_ROUNDS = 8
_PATIENCE = 4.0  # seconds, real, for what needs no skipping


async def quiesce(world: World, actors: Actors) -> None:
    """No more faults; every event that is still under way arrives; clocks run out. Raises `Violated` if some order
    has not ended by then (6)."""
    world.provider.heal()
    world.provider.decide()  # and no event tells of it
    await asyncio.sleep(0)
    for _ in range(_ROUNDS):
        await _deliver_all(actors)
        await _idle(world)
        found = await world.orders()
        is_live = any(order.status.is_live for order in found)
        if not (actors.events or is_live or await _running(world, actors) or await world.query(_OPEN)):
            break
        await world.sweep()
        await world.skip(PAYMENT_TIMEOUT + 120)
    else:
        raise Violated(
            f"6: not at an end: {await world.orders()}, running: {await _running(world, actors)},"
            f" open: {await world.query(_OPEN)}"
        )
    await _dispatch_all(world)


async def _deliver_all(actors: Actors) -> None:
    under_way, actors.events = actors.events, []
    for event in under_way:
        await actors.deliver(event)


async def _dispatch_all(world: World) -> None:
    await warehouse.dispatch(world.engine)
    if left := await world.query("SELECT id FROM shop.orders WHERE status = 'fulfilled' AND NOT on_hold"):
        raise Violated(f"6: not dispatched: {left}")


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
    subjects += [settlement_workflow_id(order.order_id) for order in await world.orders()]
    subjects += [refund_workflow_id(order_id, key) for order_id, key in actors.wishes]
    return [name for name in [*(one.key for one in actors.customers), *subjects] if await world.is_running(name)]


async def check(world: World, actors: Actors) -> None:
    """Raises `Violated`, with the invariant's number."""
    found = {order.order_id: order for order in await world.orders()}
    _check_money(world, found)
    await _check_ledger(world, actors)
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
        if sum(provider.refunds.get(intent, [])) > sum(charges):
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
        is_kept = order is not None and order.status.is_kept
        if is_kept and order is not None:  # what operators and the dashboard gave of it back, the ledger says
            expected = order.amount_total - sum(provider.refunds.get(str(session.payment_intent_id), []))
            is_right = balance == expected > 0
        else:
            expected = 0
            is_right = balance == 0 or provider.is_lost(session.payment_intent_id)
        if not is_right:
            raise Violated(f"2: session {session_id} ({session.status}) of {order}: kept {balance}, not {expected}")
        if session.status is SessionStatus.OPEN and (order is None or not order.status.is_live):
            raise Violated(f"5: session {session_id} of {order} can still be paid")


async def _check_ledger(world: World, actors: Actors) -> None:
    """The shop's ledger and the payment service say the same of every refund; each wish led to one at most, and to one
    again when it failed."""
    provider = world.provider
    refunds: dict[str, list[Any]] = defaultdict(list)
    for row in await world.query("SELECT * FROM shop.refunds ORDER BY attempt"):
        refunds[row.payment_intent_id].append(row)
    for payment in await world.query("SELECT * FROM shop.payments"):
        intent, rows = payment.payment_intent_id, refunds[payment.payment_intent_id]
        theirs = {one.provider_refund_id: (one.amount, one.state) for one in provider.given_back.get(intent, [])}
        ours = {row.provider_refund_id: (row.amount, row.state) for row in rows if row.provider_refund_id}
        if ours != theirs:
            raise Violated(f"2: payment {intent}: the ledger says {ours}, the payment service {theirs}")
        if wanted := [row for row in rows if row.state == "pending"]:
            raise Violated(f"2: payment {intent}: still wanted: {wanted}")
        lost = sum(one.amount for one in provider.disputes.get(intent, {}).values() if one.state == "lost")
        left = payment.amount - lost - sum(row.amount for row in rows if not RefundState(row.state).is_undone)
        for key in {row.request_key for row in rows} - {None}:
            attempts = [row for row in rows if row.request_key == key]
            _check_wish(actors, key, attempts, owes=left > 0 and not provider.is_disputed(intent))
        world.counts["refund made again"] += sum(row.attempt > 1 and row.state == "succeeded" for row in rows)
        world.counts["part given back"] += 0 < left < payment.amount and not lost
        world.counts["lost to a dispute"] += lost > 0


def _check_wish(actors: Actors, key: str, attempts: list[Any], *, owes: bool) -> None:
    stand = [row for row in attempts if not RefundState(row.state).is_undone]
    wish = actors.wishes.get((attempts[0].order_id, key))
    if key != WHOLE_REFUND and (len(stand) > 1 or (wish is not None and any(row.amount > wish for row in attempts))):
        raise Violated(f"2: wish {key} over {wish} led to {attempts}")
    if owes and not stand and attempts[-1].provider_refund_id is not None:
        raise Violated(f"2: wish {key} failed and was forgotten: {attempts}")
    if attempts[0].requested_by == "operator" and wish is None:
        raise Violated(f"2: nobody wished for {attempts}")
