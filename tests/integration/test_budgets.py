"""What each way a checkout can go may cost at most: counts, which no busy machine can blur. Lower them when you can."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import asyncpg
import pytest

from checkout.errors import PaymentRefused
from checkout.sessions import SessionStatus
from db.engine import create_engine
from stack.stack import Stack
from tests.support.costs import Costs, Ledger
from tests.support.databases import DatabaseServer
from tests.support.provider import always
from tests.support.rig import Rig, assembled

Way = Callable[[Rig], Awaitable[object]]


@pytest.fixture
async def rig(database_url: str, temporal_server: Stack) -> AsyncIterator[Rig]:
    """Every statement on its database is logged. Its worker's pool asks no connection for life, as the process's."""
    connection = await asyncpg.connect(database_url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET log_statement = 'all'")
    await connection.close()
    engine = create_engine(database_url, application_name="worker", pre_ping=False, pool_timeout=60, command_timeout=30)
    async with assembled(database_url, engine, temporal_server) as rig:
        yield rig
    await engine.dispose()


async def paid(rig: Rig) -> tuple[str, str, str]:
    key, order_id, session_id = await rig.bought()
    rig.provider.pay(session_id)
    await rig.tell(session_id, key)
    await rig.temporal.get_workflow_handle(key).result()
    return key, order_id, session_id


async def out_of_stock(rig: Rig) -> None:
    answer = await rig.buy(secrets.token_hex(8), items=[{"sku": "limited-print", "quantity": 99}])
    assert answer.status_code == 409


async def payment_unavailable(rig: Rig) -> None:
    rig.provider.fail["create"] = always(PaymentRefused("no"))
    assert (await rig.buy(secrets.token_hex(8))).status_code == 502


async def cancelled_by_the_customer(rig: Rig) -> None:
    _, order_id, _ = await rig.bought()
    assert (await rig.cancel(order_id)).status_code == 200


async def left_at_the_payment_page(rig: Rig) -> None:
    key, _, session_id = await rig.bought()
    rig.provider.sessions[session_id] = replace(rig.provider.sessions[session_id], status=SessionStatus.EXPIRED)
    await rig.tell(session_id, key)
    await rig.temporal.get_workflow_handle(key).result()


async def timed_out(rig: Rig) -> None:
    rig.settings.payment_timeout = 1.0
    key, _, _ = await rig.bought()
    await rig.temporal.get_workflow_handle(key).result()


async def paid_too_little(rig: Rig) -> None:
    key, order_id, session_id = await rig.bought()
    rig.provider.pay(session_id, amount_total=1)
    await rig.tell(session_id, key)
    await rig.temporal.get_workflow_handle(key).result()
    assert rig.provider.charges_of(order_id) == 0


@pytest.mark.parametrize(
    ("way", "budget"),
    [
        (paid, Costs(events=14, workflow_tasks=2, workflows=1, transactions=6, provider_calls=2)),
        (out_of_stock, Costs(events=7, workflow_tasks=1, workflows=1, transactions=3, provider_calls=0)),
        (payment_unavailable, Costs(events=8, workflow_tasks=1, workflows=1, transactions=5, provider_calls=2)),
        (cancelled_by_the_customer, Costs(events=15, workflow_tasks=2, workflows=1, transactions=12, provider_calls=2)),
        (left_at_the_payment_page, Costs(events=15, workflow_tasks=2, workflows=1, transactions=6, provider_calls=2)),
        (timed_out, Costs(events=14, workflow_tasks=2, workflows=1, transactions=6, provider_calls=2)),
        (paid_too_little, Costs(events=15, workflow_tasks=2, workflows=1, transactions=7, provider_calls=4)),
    ],
)
async def test_a_checkout_costs_no_more_than(
    rig: Rig, database_server: DatabaseServer, way: Way, budget: Costs
) -> None:
    costs = await Ledger(rig, database_server.log).within(budget, lambda: way(rig))
    assert not costs.exceeds(budget), str(costs)


async def test_a_repeated_key_asks_neither_temporal_nor_the_provider(rig: Rig, database_server: DatabaseServer) -> None:
    key, _, _ = await paid(rig)
    budget = Costs(events=0, workflow_tasks=0, workflows=0, transactions=2, provider_calls=0)
    costs = await Ledger(rig, database_server.log).within(budget, lambda: rig.buy(key))
    assert not costs.exceeds(budget), str(costs)


async def test_an_event_told_again_starts_nothing(rig: Rig, database_server: DatabaseServer) -> None:
    key, _, session_id = await paid(rig)
    budget = Costs(events=0, workflow_tasks=0, workflows=0, transactions=2, provider_calls=0)
    costs = await Ledger(rig, database_server.log).within(budget, lambda: rig.tell(session_id, key))
    assert not costs.exceeds(budget), str(costs)
