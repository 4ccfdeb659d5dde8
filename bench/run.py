"""The load itself: customers who buy, pay and wait, at most `clients` of them at a time."""

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Iterator

from bench.customer import Bought, CheckoutFailed, Customer, customer_of
from bench.stats import Tally
from bench.target import Load, Target
from bench.watch import GOOD, Watch

Progress = Callable[[int], None]


async def run_load(target: Target, load: Load, watch: Watch, progress: Progress = lambda done: None) -> Tally:
    """`load.checkouts` checkouts, warm-up not included. `progress` hears how many are done."""
    tally = Tally()
    tickets = iter(range(load.checkouts))
    began = time.perf_counter()

    async def client(number: int) -> None:
        async with customer_of(target, number) as customer:
            await _serve(customer, load, watch, tally, tickets, began, progress)
            tally.retries += customer.retries

    await asyncio.gather(*(client(number) for number in range(min(load.clients, load.checkouts))))
    return tally


async def _serve(
    customer: Customer,
    load: Load,
    watch: Watch,
    tally: Tally,
    tickets: Iterator[int],
    began: float,
    progress: Progress,
) -> None:
    for ticket in tickets:
        start = time.perf_counter()
        if load.rate:
            # When all clients are busy at the due time the waiting counts: the customer was there.
            start = began + ticket / load.rate
            await asyncio.sleep(max(0.0, start - time.perf_counter()))
        tally.first_buy = start if math.isnan(tally.first_buy) else min(tally.first_buy, start)
        deadline = start + load.patience
        try:
            bought = await customer.buy(new_key(), load.skus[ticket % len(load.skus)], deadline)
            tally.answered.append(time.perf_counter() - start)
            tally.keys.append(bought.key)
            await pay_and_wait(customer, bought, watch, deadline)
            tally.last_fulfilled = time.perf_counter()
            tally.fulfilled.append(tally.last_fulfilled - start)
            tally.order_ids.append(bought.order_id)
        except CheckoutFailed as failed:
            tally.errors[str(failed)] += 1
        progress(len(tally.fulfilled) + tally.errors.total())


async def pay_and_wait(customer: Customer, bought: Bought, watch: Watch, deadline: float) -> None:
    """Returns when the order is fulfilled. Raises `CheckoutFailed`, at the latest at `deadline`."""
    if customer.pays_for_end:
        await customer.pay(bought)
        return
    ended = watch.expect(bought.order_id)
    try:
        await customer.pay(bought)
        async with asyncio.timeout(max(0.0, deadline - time.perf_counter())):
            status = await ended
    except TimeoutError:
        raise CheckoutFailed("paid: not fulfilled in time") from None
    finally:
        watch.forget(bought.order_id)
    if status not in GOOD:
        raise CheckoutFailed(f"paid: order {status}")


def new_key() -> str:
    return f"bench-{secrets.token_urlsafe(16)}"
