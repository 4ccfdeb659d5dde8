"""What the first release left in the database, and its workers that still run while a new version is rolled out."""

from collections.abc import AsyncIterator

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.ids import OWED_REFUND
from checkout.orders import Reason
from checkout.payments import PaymentState, ProviderPayment, ProviderRefund, RefundState
from db import ledger
from db.book import Book
from db.engine import create_engine
from db.setup import alembic_config, migrate, seed
from tests.support.databases import DatabaseServer
from tests.support.first_release import PENS, PRICE, FirstRelease
from tests.support.orders import scalar, violations

TOTAL = PENS * PRICE


@pytest.fixture
async def first_release(database_server: DatabaseServer) -> AsyncIterator[AsyncEngine]:
    """A database with the first release's schema, and its catalogue."""
    async with database_server.empty() as url:
        engine = create_engine(url, connect_timeout=10, command_timeout=None)
        async with engine.begin() as connection:
            await connection.execute(text("CREATE SCHEMA shop"))
            await connection.run_sync(lambda driver: command.upgrade(alembic_config(driver), "0001_shop"))
        await seed(engine)
        yield engine
        await engine.dispose()


async def payments(engine: AsyncEngine) -> dict[str, tuple[object, ...]]:
    """By order: the payment's amount and state, the state of its refund of all of it, and whether it is held."""
    statement = text("""
        SELECT p.order_id, p.amount, p.state,
               (SELECT string_agg(r.state || CASE WHEN r.amount = p.amount THEN '' ELSE ' in part' END, ', ')
                  FROM shop.refunds r WHERE r.payment_intent_id = p.payment_intent_id), o.on_hold
          FROM shop.payments p JOIN shop.orders o ON o.id = p.order_id AND o.payment_intent_id = p.payment_intent_id
    """)
    async with engine.connect() as connection:
        return {row[0]: tuple(row[1:]) for row in await connection.execute(statement)}


async def due(engine: AsyncEngine) -> set[str | None]:
    async with engine.connect() as connection:
        return {one.order_id for one in await ledger.due_payments(connection, 100)}


async def only_owing_is_told_of(engine: AsyncEngine) -> bool:
    """An audit that waits for nobody finds the debt, and nothing else."""
    return ["payment pi_owing is owed since" in one for one in await violations(engine)] == [True]


async def hear(engine: AsyncEngine, order_id: str, *told: ProviderRefund) -> Book:
    payment = ProviderPayment(f"pi_{order_id}", PaymentState.PAID, TOTAL, "usd", order_id)
    async with engine.begin() as connection:
        version = await ledger.version_of(connection, payment.payment_intent_id)
        assert version is not None
        outcome = await ledger.record(connection, version, payment, told, [])
    assert outcome is not None
    return outcome


async def test_orders_of_the_first_release_have_their_ledger_and_their_debts_are_given_back(
    first_release: AsyncEngine,
) -> None:
    await FirstRelease(first_release).in_every_state()
    await migrate(first_release)
    assert await payments(first_release) == {
        "fulfilled": (TOTAL, "paid", None, False),
        "dispatched": (TOTAL, "paid", None, False),
        "refunded": (TOTAL, "paid", "succeeded", False),
        "refunded-late": (TOTAL, "paid", "succeeded", False),
        "owing": (TOTAL, "paid", "pending", False),
    }
    assert await due(first_release) == {"owing"}
    assert await only_owing_is_told_of(first_release)

    [debt] = (await hear(first_release, "owing")).to_make
    assert (debt.amount, debt.provider_refund_id) == (TOTAL, None)
    made = ProviderRefund("re_owing", TOTAL, RefundState.SUCCEEDED, refund_id=debt.id)
    async with first_release.begin() as connection:
        _, order = await ledger.record_made(connection, debt.payment_intent_id, made)
    assert order is not None
    assert (order.status, order.reason) == ("refunded", Reason.TIMEOUT)
    assert await due(first_release) == set()
    assert await violations(first_release) == []


async def test_a_refund_of_the_first_release_is_named_when_it_is_heard_of_and_not_made_again(
    first_release: AsyncEngine,
) -> None:
    """Its own name at the payment service was not written down then."""
    await FirstRelease(first_release).in_every_state()
    await migrate(first_release)
    for order_id in ("refunded", "refunded-late"):
        word = ProviderRefund(f"re_{order_id}", TOTAL, RefundState.SUCCEEDED)
        assert (await hear(first_release, order_id, word)).to_make == []
    assert await scalar(first_release, "SELECT count(*) FROM shop.refunds WHERE provider_refund_id IS NOT NULL") == 2
    assert await only_owing_is_told_of(first_release)


async def test_what_a_worker_of_the_first_release_still_writes_is_in_the_ledger_or_soon_found_out(
    engine: AsyncEngine,
) -> None:
    """The schema is the new one; the worker has not been stopped yet, and knows no ledger."""
    await FirstRelease(engine).in_every_state()
    found = await payments(engine)
    assert {order_id: state for order_id, (_, state, *_) in found.items()} == dict.fromkeys(
        ("fulfilled", "dispatched", "refunded", "refunded-late", "owing"), "paid"
    )
    assert await due(engine) == {"refunded", "refunded-late", "owing"}, "it gave back, or owes, what it did not enter"

    for order_id in ("refunded", "refunded-late"):
        word = ProviderRefund(f"re_{order_id}", TOTAL, RefundState.SUCCEEDED)
        assert (await hear(engine, order_id, word)).to_make == []
    [debt] = (await hear(engine, "owing")).to_make
    assert debt.amount == TOTAL
    assert await scalar(engine, "SELECT request_key FROM shop.refunds WHERE id = :id", id=debt.id) == OWED_REFUND
    assert await due(engine) == set()
    assert await only_owing_is_told_of(engine)


async def test_an_order_that_a_worker_of_the_first_release_refunds_leaves_no_second_refund_to_make(
    engine: AsyncEngine,
) -> None:
    """Fulfilled by a new worker, refunded by an old one: twice, as a retry would."""
    old = FirstRelease(engine)
    await old.awaiting("order")
    await old.fulfil("order")
    assert await due(engine) == set()
    for _ in range(2):
        await old.refund("order")
    assert await due(engine) == {"order"}
    outcome = await hear(engine, "order", ProviderRefund("re_1", TOTAL, RefundState.SUCCEEDED))
    assert outcome.to_make == []
    assert await payments(engine) == {"order": (TOTAL, "paid", "succeeded", True)}
    assert await violations(engine) == []
