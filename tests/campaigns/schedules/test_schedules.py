"""A slice of the random schedules in every test run, and proof that they would notice.

What is acted out runs in a thread: PostgreSQL is kept running in the tests' own event loop.
"""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings

from checkout.payments import ProviderRefund, Refund, RefundState
from checkout.sessions import ProviderSession
from tests.campaigns.schedules.actors import Actors, Violated
from tests.campaigns.schedules.campaign import REQUIRED, Failed, Stage, missing, run
from tests.campaigns.schedules.provider import LedgerProvider
from tests.campaigns.schedules.steps import WEIGHTS, Step, from_blob, schedules, to_blob
from tests.support.databases import DatabaseServer

SLICE = 40
SEED = 20261122


@pytest.mark.timeout(300)
async def test_a_slice_of_random_schedules_keeps_every_promise(database_server: DatabaseServer) -> None:
    def keeps() -> int:
        with Stage(server=database_server) as stage:
            return run(stage, SLICE, SEED)

    assert await asyncio.to_thread(keeps) == SLICE


class _ChargesTwice(LedgerProvider):
    def force_pay(self, session_id: str, **changes: object) -> ProviderSession:
        state = super().force_pay(session_id, **changes)
        if state.paid:
            self.charges[str(state.payment_intent_id)].append(state.amount_total)
        return state


class _KeepsRefunds(LedgerProvider):
    async def refund(self, refund: Refund) -> ProviderRefund:
        """It says that it did."""
        self.calls.append("refund")
        return ProviderRefund(f"re_{refund.id}", refund.amount, RefundState.SUCCEEDED, refund_id=refund.id)


@pytest.mark.timeout(300)
async def test_money_that_is_not_given_back_is_found(database_server: DatabaseServer) -> None:
    """The fault is in what the schedules stand on, so that no defence of ours can hide it from the checker."""
    schedule = [Step("buy"), Step("mismatch"), Step("deliver")]
    with pytest.raises(Violated, match=r"^2: "):
        await asyncio.to_thread(_act_out_often, Stage(_KeepsRefunds(), database_server), schedule)


class _HidesFailures(LedgerProvider):
    async def refunds_of(self, payment_intent_id: str) -> list[ProviderRefund]:
        """A bank has sent money back, and whoever asks is not told."""
        return [replace(one, state=RefundState.SUCCEEDED) for one in await super().refunds_of(payment_intent_id)]


@pytest.mark.timeout(300)
async def test_a_refund_that_failed_and_is_not_made_again_is_found(database_server: DatabaseServer) -> None:
    schedule = [Step("buy", 0, 0), Step("pay"), Step("deliver"), Step("breathe", 0, 3), Step("refund")]
    schedule += [Step("breathe", 0, 3), Step("refund_fails"), Step("deliver")]
    with pytest.raises(Violated, match=r"^2: "):
        await asyncio.to_thread(_act_out_often, Stage(_HidesFailures(), database_server), schedule)


def _act_out_often(stage: Stage, schedule: list[Step]) -> None:
    """Once is enough, unless the session is late: then the customer does nothing with it, and nothing is found."""
    with stage:
        for _ in range(10):
            stage.act_out(schedule)


@pytest.mark.timeout(300)
async def test_a_payment_service_that_charges_twice_is_found_and_the_schedule_is_cut_to_what_it_takes(
    database_server: DatabaseServer,
) -> None:
    def charge() -> None:
        with Stage(_ChargesTwice(), database_server) as stage:
            run(stage, 200, SEED)

    with pytest.raises(Failed, match="Violated: 1: payment") as failure:
        await asyncio.to_thread(charge)
    assert len(failure.value.schedule) <= 3  # buy and pay, and perhaps something that does nothing


@settings(max_examples=200, deadline=None, derandomize=True)
@given(schedules())
def test_a_blob_is_the_schedule_it_was_made_of(schedule: list[Step]) -> None:
    assert from_blob(to_blob(schedule)) == schedule


def test_a_run_in_which_something_never_happened_is_void() -> None:
    happened = Counter(dict.fromkeys(REQUIRED, 1))
    assert missing(happened) == []
    happened["terminate"] = 0
    assert missing(happened) == ["terminate"]


def test_every_verb_has_an_actor() -> None:
    assert {name.removeprefix("do_") for name in dir(Actors) if name.startswith("do_")} == set(WEIGHTS)


def test_a_failure_says_how_to_see_it_again() -> None:
    schedule = [Step("buy", 0, 1), Step("pay", 0, 0)]
    told = str(Failed(schedule, AssertionError("2: kept 700, not 0")))
    assert f"--replay {to_blob(schedule)}" in told
    assert "1. buy (customer 0, variant 1)" in told
