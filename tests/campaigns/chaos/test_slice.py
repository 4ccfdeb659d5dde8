"""The fast slice of the campaign: the scenarios that would cost most if they failed, and a seeded sample of the rest.

The whole is `make chaos`. `CHAOS_SEED=7 pytest tests/campaigns/chaos` draws another sample.
"""

import os
import random

import pytest

from tests.campaigns.chaos.campaign import Scenario, scenarios
from tests.campaigns.chaos.race import race
from tests.campaigns.chaos.storm import Storm
from tests.campaigns.chaos.world import World

SEED = int(os.environ.get("CHAOS_SEED", "1"))

# Where a fault costs money or stock: a process dies with a step done and not reported, a zombie comes back, a reply to
# a COMMIT is lost, the provider is silent at the deadline, Temporal is away when the money comes.
COSTLY = (
    "worker open_order.after kill",
    "worker create_at_provider.after kill",
    "worker fulfil_order.before_commit kill",
    "worker fulfil_order.after kill",
    "worker refund_at_provider.after kill",
    "worker release_order.after lose",
    "worker record_session.before_commit lose",
    "gateway start_checkout.after kill",
    "gateway signal_payment.before kill",
    "Worker: a reservation frozen at its commit thaws after the order was cancelled",
    "Temporal: down when the webhook comes",
    "Temporal: terminated and found by the sweep",
    "Temporal: cancelled in the ui at any moment of its life",
    "PostgreSQL: the reply to the commit of each step is lost",
    "Payment service: a stored error hides a session that exists and is found",
    "Payment service: another amount currency or order is given back",
    "Payment service: paid while the closing is on its way",
    "Payment service: closed while the payment is on its way",
    "Webhooks: lost and the timeout asks the provider",
    "Webhooks: forged stale future altered and unsigned are refused without a trace",
    "Webhooks: money for a second session under the key of a live checkout is given back",
)
SAMPLE = 8


def chosen() -> list[Scenario]:
    every = {scenario.name: scenario for scenario in scenarios()}
    quick = [name for name in every if name.endswith(" lose") and name not in COSTLY]
    return [every[name] for name in (*COSTLY, *random.Random(SEED).sample(quick, SAMPLE))]


@pytest.mark.parametrize("scenario", chosen(), ids=lambda scenario: str(scenario.name))
async def test_nothing_is_lost_when(scenario: Scenario, world: World, hasty: str) -> None:
    result = await scenario.run(world, hasty)
    assert result.ok, result.problem


async def test_a_payment_in_the_moment_of_its_deadline_is_either_kept_or_refused(world: World, hasty: str) -> None:
    # However far off the estimate of the closing is: far before it and far behind it there is no doubt who wins.
    beyond_doubt = [-600, -600, -600, 1000, 1000, 1000]
    result = await race(world, hasty, [*range(-120, 121, 20), *beyond_doubt], at_least=2)
    raced = (result.paid | result.closed).keys() - set(beyond_doubt)
    assert len(raced) > 10, "most racers were too slow to the line, again and again"


@pytest.mark.timeout(600)  # a customer of it has three minutes' patience
async def test_after_a_short_storm_every_customer_was_told_the_truth(world: World, hasty: str) -> None:
    result = await Storm(world, hasty, seed=SEED, shoppers=4).run(10)
    assert result.customers
