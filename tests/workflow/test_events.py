"""Signals of a running checkout: each event is looked at once, however often, however odd, however many."""

import asyncio
import contextlib
from itertools import repeat

from temporalio.service import RPCError

from checkout.errors import PaymentUnreachable
from checkout.orders import OrderStatus
from tests.support.eventually import eventually
from tests.support.lab import Lab
from tests.support.provider import always
from worker import policies


async def test_an_event_told_again_is_not_looked_at_again(lab: Lab) -> None:
    handle, _, _ = await lab.opened()
    for seen, event in enumerate(("evt_1", "evt_2"), start=1):
        await lab.tell(handle, event)
        await eventually(lambda seen=seen: lab.provider.calls.count("retrieve") == seen)  # type: ignore[misc]
    for _ in range(3):
        await lab.tell(handle, "evt_1")
    # The next signal is handled after those before it: when it has been looked at, they have had their chance.
    await lab.tell(handle, "evt_3")
    await eventually(lambda: lab.provider.calls.count("retrieve") >= 3)
    await asyncio.sleep(0.3)
    assert lab.provider.calls.count("retrieve") == 3


async def test_duplicate_and_foreign_events_fulfil_once(lab: Lab) -> None:
    handle, order, session_id = await lab.opened()
    for _ in range(3):
        await lab.tell(handle, "evt_foreign")
    lab.provider.fail["retrieve"] = always(PaymentUnreachable("away"))  # nothing is decided until all have come
    lab.provider.pay(session_id)
    await asyncio.gather(*(lab.tell(handle, "evt_same") for _ in range(20)))
    lab.provider.fail.clear()
    assert (await handle.result()).status is OrderStatus.FULFILLED
    assert (await lab.kinds(order.order_id)).count("fulfilled") == 1


async def test_signals_that_cannot_be_decoded_or_are_unknown_do_not_stop_the_checkout(lab: Lab) -> None:
    handle, _, session_id = await lab.opened()
    await handle.signal("payment_event", {"not": ["an", "id"]})
    await handle.signal("payment_event", args=["one", "too many"])
    await handle.signal("nonsense", 1)
    lab.provider.pay(session_id)
    await lab.tell(handle)
    assert (await handle.result()).status is OrderStatus.FULFILLED


async def test_a_flood_of_events_continues_as_new_and_loses_nothing(lab: Lab) -> None:
    handle, order, session_id = await lab.opened()
    await lab.flood(handle, (f"evt_{number}" for number in range(policies.MAX_EVENTS_PER_RUN)))
    await lab.continued_as_new(handle)
    lab.provider.pay(session_id)
    await lab.tell(handle, "evt_paid")
    assert (await handle.result()).status is OrderStatus.FULFILLED
    assert list(lab.provider.sessions) == [session_id]
    assert (await lab.kinds(order.order_id))[:4] == ["reserved", "awaiting_payment", "paid", "fulfilled"]


async def test_a_flood_of_repeats_continues_as_new_as_well(lab: Lab) -> None:
    """Temporal counts each of them, and takes no more signals after the ten thousandth."""
    handle, _, session_id = await lab.opened()
    await lab.flood(handle, repeat("evt_same", policies.MAX_SIGNALS_PER_RUN))
    await lab.continued_as_new(handle)
    lab.provider.pay(session_id)
    with contextlib.suppress(RPCError):  # the new run looks by itself, and may have ended on what it saw
        await lab.tell(handle, "evt_paid")
    assert (await handle.result()).status is OrderStatus.FULFILLED
