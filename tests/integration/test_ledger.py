"""The money after the sale, in the database: whatever is told, in any order, twice, late, at once, it adds up."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.contracts import RefundOrderInput
from checkout.errors import KeyReused, NotRefundable, PaymentUnknown, RefundExceedsPayment, RefundLinesExceedOrder
from checkout.ids import WHOLE_REFUND
from checkout.money import (
    MoneyState,
    PaymentState,
    ProviderDispute,
    ProviderRefund,
    Refund,
    RefundLine,
    RefundState,
)
from checkout.orders import CartLine, Order, OrderStatus, Reason
from db import ledger, orders, refunds
from db.book import Book
from tests.support.orders import awaiting, fulfil, on_hand, scalar, violations
from tests.support.provider import FakeProvider
from worker.activities.money import MoneyActivities

FAILED, PENDING, SUCCEEDED = RefundState.FAILED, RefundState.PENDING, RefundState.SUCCEEDED
CART = (CartLine("limited-print", 3), CartLine("pen", 1))
TOTAL = 3 * 12_000 + 1_000


@pytest.fixture
async def order(engine: AsyncEngine) -> Order:
    """Paid and fulfilled: three prints and a pen."""
    order = await fulfil(engine, await awaiting(engine, "k", *CART))
    assert order.amount_total == TOTAL
    return order


def intent_of(order: Order) -> str:
    return f"pi_{order.order_id}"


async def make_due(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE shop.orders SET dispatch_due_at = clock_timestamp()"))


async def ask(engine: AsyncEngine, order: Order, key: str = "k1", **wanted: object) -> Refund:
    async with engine.begin() as connection:
        return await refunds.request_refund(connection, RefundOrderInput(order.order_id, key, **wanted))  # type: ignore[arg-type] # its fields


async def take(engine: AsyncEngine, refund: Refund, state: RefundState = SUCCEEDED, name: str = "re_1") -> Refund:
    """The provider has taken it."""
    made = ProviderRefund(name, refund.amount, state, refund_id=refund.id)
    async with engine.begin() as connection:
        return (await ledger.record_made(connection, refund.payment_intent_id, made))[0]


async def hear(
    engine: AsyncEngine,
    order: Order,
    told: Sequence[ProviderRefund] = (),
    disputes: Sequence[ProviderDispute] = (),
) -> Book:
    payment = PaymentState(intent_of(order), MoneyState.PAID, order.amount_total, "usd", order.order_id)
    async with engine.begin() as connection:
        version = await ledger.version_of(connection, intent_of(order))
    assert version is not None
    async with engine.begin() as connection:
        outcome = await ledger.record(connection, version, payment, told, disputes)
    assert outcome is not None
    return outcome


async def status(engine: AsyncEngine) -> str:
    return str(await scalar(engine, "SELECT status FROM shop.orders"))


def dispute(state: str) -> ProviderDispute:
    return ProviderDispute("du_1", TOTAL, state, "fraudulent", datetime(2030, 1, 1, tzinfo=UTC))


async def test_of_many_refunds_at_once_no_more_is_entered_than_was_paid(engine: AsyncEngine, order: Order) -> None:
    async def one(number: int) -> bool:
        try:
            await ask(engine, order, f"k{number}", amount=10_000)
        except RefundExceedsPayment:
            return False
        return True

    assert sum(await asyncio.gather(*(one(number) for number in range(12)))) == TOTAL // 10_000
    assert await scalar(engine, "SELECT sum(amount) FROM shop.refunds") == 30_000


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
async def test_the_table_itself_refuses_what_was_not_paid_whoever_writes(
    engine: AsyncEngine, order: Order, isolation: str
) -> None:
    """Both have begun before either has written."""
    insert = text(
        "INSERT INTO shop.refunds (id, payment_intent_id, order_id, amount, state, requested_by, request_key)"
        f" VALUES (:id, '{intent_of(order)}', '{order.order_id}', 20000, 'pending', 'operator', :id)"
    )
    async with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            await connection.execution_options(isolation_level=isolation)
            await connection.execute(text("SELECT count(*) FROM shop.refunds"))
        await first.execute(insert, {"id": "a"})
        waiting = asyncio.create_task(second.execute(insert, {"id": "b"}))
        await asyncio.sleep(0.1)
        await first.commit()
        with pytest.raises(DBAPIError, match=r"given back or on their way|could not serialize"):
            await waiting
    assert await scalar(engine, "SELECT sum(amount) FROM shop.refunds") == 20_000


async def test_a_key_stands_for_one_refund(engine: AsyncEngine, order: Order) -> None:
    first = await ask(engine, order, amount=500)
    assert await ask(engine, order, amount=500) == first
    for other in ({"amount": 501}, {"lines": [RefundLine("pen", 1)]}, {}):
        with pytest.raises(KeyReused):
            await ask(engine, order, **other)
    assert await scalar(engine, "SELECT count(*) FROM shop.refunds") == 1


async def test_a_key_answers_the_attempt_that_is_made_in_place_of_one_that_failed(
    engine: AsyncEngine, order: Order
) -> None:
    refund = await take(engine, await ask(engine, order, amount=500))
    await hear(engine, order, [ProviderRefund("re_1", 500, FAILED, refund_id=refund.id)])
    again = await ask(engine, order, amount=500)
    assert (again.attempt, again.amount) == (2, 500)
    async with engine.connect() as connection:
        await refunds.check_wish(connection, RefundOrderInput(order.order_id, "k1", amount=500))
        with pytest.raises(KeyReused):
            await refunds.check_wish(connection, RefundOrderInput(order.order_id, "k1", amount=501))


async def test_lines_bring_their_goods_back_once_and_never_more_than_were_bought(
    engine: AsyncEngine, order: Order
) -> None:
    assert await on_hand(engine, "limited-print") == 7
    back = await ask(engine, order, "k1", lines=[RefundLine("limited-print", 2)])
    assert (back.amount, await on_hand(engine, "limited-print")) == (24_000, 7)
    for _ in range(2):
        await take(engine, back, PENDING)
    assert await on_hand(engine, "limited-print") == 9
    await take(engine, back)
    with pytest.raises(RefundLinesExceedOrder, match="1 were bought and not refunded yet"):
        await ask(engine, order, "k2", lines=[RefundLine("limited-print", 2)])
    with pytest.raises(RefundLinesExceedOrder):
        await ask(engine, order, "k3", lines=[RefundLine("notebook", 1)])
    broken = await ask(engine, order, "k4", lines=[RefundLine("limited-print", 1)], restock=False)
    await take(engine, broken, name="re_2")
    assert await on_hand(engine, "limited-print") == 9
    assert await violations(engine) == []


async def test_all_that_is_left_ends_the_order_and_what_the_customer_kept_stays_kept(
    engine: AsyncEngine, order: Order
) -> None:
    await take(engine, await ask(engine, order, "k1", lines=[RefundLine("limited-print", 1)], restock=False))
    await take(engine, await ask(engine, order, "k2", lines=[RefundLine("limited-print", 1)]), name="re_2")
    rest = await ask(engine, order, "k3")
    assert (rest.amount, await status(engine)) == (TOTAL - 24_000, "fulfilled")
    await take(engine, rest, PENDING, "re_3")
    assert await status(engine) == "fulfilled", "it is on its way, and may fail"
    await take(engine, rest, SUCCEEDED, "re_3")
    assert await status(engine) == "refunded"
    assert (await on_hand(engine, "limited-print"), await on_hand(engine, "pen")) == (9, 100_000)
    assert await violations(engine) == []


async def test_whatever_is_told_of_refunds_in_any_order_comes_to_the_same(engine: AsyncEngine) -> None:
    """One of ours, two of the dashboard; each word told twice, and late."""
    words = [
        [ProviderRefund("re_1", 500, PENDING)],
        [ProviderRefund("re_1", 500, FAILED), ProviderRefund("re_2", 700, SUCCEEDED)],
        [ProviderRefund("re_1", 500, FAILED), ProviderRefund("re_2", 700, FAILED)],
    ]
    for number, told in enumerate(itertools.permutations(words)):
        order = await fulfil(engine, await awaiting(engine, f"o{number}", CartLine("pen", 2)))
        for each in (*told, told[-1], words[-1]):
            renamed = [ProviderRefund(f"{one.provider_refund_id}_{number}", one.amount, one.state) for one in each]
            await hear(engine, order, renamed)
        states = f"SELECT array_agg(state ORDER BY amount) FROM shop.refunds WHERE order_id = '{order.order_id}'"
        assert await scalar(engine, states) == ["failed", "failed"]
    assert await scalar(engine, "SELECT bool_and(NOT on_hold) FROM shop.orders")


async def test_a_refund_that_succeeds_and_then_fails_is_owed_again_under_another_name(
    engine: AsyncEngine, order: Order
) -> None:
    first = await take(engine, await ask(engine, order))
    assert await status(engine) == "refunded"
    outcome = await hear(engine, order, [ProviderRefund("re_1", TOTAL, FAILED, refund_id=first.id)])
    [again] = outcome.to_make
    assert (again.amount, again.attempt, again.id != first.id) == (TOTAL, 2, True)
    assert (await hear(engine, order, [ProviderRefund("re_1", TOTAL, FAILED)])).to_make == [again]
    await take(engine, again, FAILED, "re_2")
    told = [ProviderRefund("re_1", TOTAL, FAILED), ProviderRefund("re_2", TOTAL, FAILED)]
    assert (await hear(engine, order, told)).to_make == [], "the third has to wait for its turn"
    assert await scalar(engine, "SELECT look_at BETWEEN now() + interval '20 s' AND now() + interval '40 s'"
                                " FROM shop.payments")  # fmt: skip
    assert await on_hand(engine, "limited-print") == 10


async def test_what_was_given_back_in_the_dashboard_is_a_fact_and_what_no_longer_fits_ends(
    engine: AsyncEngine, order: Order
) -> None:
    wish = await ask(engine, order)
    outcome = await hear(engine, order, [ProviderRefund("re_x", 5_000, SUCCEEDED)])
    assert outcome.to_make == []
    assert await scalar(engine, "SELECT state FROM shop.refunds WHERE id = :id", id=wish.id) == "cancelled"
    assert await status(engine) == "fulfilled"
    assert (await ask(engine, order, "k2")).amount == TOTAL - 5_000


async def test_an_answer_older_than_what_is_written_is_not_written_over_it(engine: AsyncEngine, order: Order) -> None:
    async with engine.begin() as connection:
        version = await ledger.version_of(connection, intent_of(order))
    assert version is not None
    await hear(engine, order, [ProviderRefund("re_1", 500, SUCCEEDED)])
    payment = PaymentState(intent_of(order), MoneyState.PAID, TOTAL, "usd")
    async with engine.begin() as connection:
        stale = [ProviderRefund("re_1", 500, PENDING)]
        assert await ledger.record(connection, version, payment, stale, []) is None


async def test_an_order_is_not_dispatched_while_all_of_its_money_is_asked_back(
    engine: AsyncEngine, order: Order
) -> None:
    await make_due(engine)
    refund = await ask(engine, order)
    async with engine.begin() as connection:
        assert await orders.dispatch_due(connection) == 0
    async with engine.begin() as connection:
        await ledger.give_up(connection, refund, "no balance")
    async with engine.begin() as connection:
        assert await orders.dispatch_due(connection) == 1
    assert (await ask(engine, order)).attempt == 2, "the same key tries again"


@pytest.mark.parametrize("is_tried_again", [False, True])
async def test_a_refund_that_was_given_up_and_had_been_taken_all_the_same_counts(
    engine: AsyncEngine, order: Order, is_tried_again: bool
) -> None:
    """Its answer was lost, and whoever asked again was refused: a key that is not valid any more, say."""
    refund = await ask(engine, order, amount=10_000)
    async with engine.begin() as connection:
        await ledger.give_up(connection, refund, "no such key")
    if is_tried_again:
        assert (await ask(engine, order, amount=10_000)).attempt == 2
    made = ProviderRefund("re_1", 10_000, SUCCEEDED, refund_id=refund.id)
    for _ in range(2):
        outcome = await hear(engine, order, [made])
        assert outcome.to_make == []
    assert (
        await scalar(engine, "SELECT sum(amount) FROM shop.refunds WHERE state IN ('pending', 'succeeded')") == 10_000
    )
    await ask(engine, order, "the rest")
    await hear(engine, order, [made, ProviderRefund("re_2", TOTAL - 10_000, SUCCEEDED)])
    assert await status(engine) == "refunded"
    assert await violations(engine) == []


async def test_what_is_owed_again_is_looked_at_whoever_writes_next(engine: AsyncEngine, order: Order) -> None:
    due = "SELECT look_at FROM shop.payments"
    broken = await ask(engine, order, amount=500)
    assert (await take(engine, broken, FAILED)).state is FAILED  # its answer was lost, and the next one says so
    assert await scalar(engine, due) is not None
    outcome = await hear(engine, order, [ProviderRefund("re_1", 500, FAILED, refund_id=broken.id)])
    [again] = outcome.to_make
    await take(engine, again, FAILED, "re_2")  # so that the third has to wait for its turn
    planned = await scalar(engine, due)
    await take(engine, await ask(engine, order, "k2", amount=700), name="re_3")
    assert planned is not None
    assert await scalar(engine, due) == planned
    refused = await ask(engine, order, "k3", amount=100)
    async with engine.begin() as connection:
        await ledger.give_up(connection, refused, "refused")
    assert await scalar(engine, due) == planned


async def test_goods_that_were_refunded_anew_come_back_once(engine: AsyncEngine, order: Order) -> None:
    lines = [RefundLine("pen", 1)]
    refund = await ask(engine, order, lines=lines)
    async with engine.begin() as connection:
        await ledger.give_up(connection, refund, "no such key")
    await take(engine, await ask(engine, order, "k2", lines=lines), name="re_2")
    assert await on_hand(engine, "pen") == 100_000
    surprise = ProviderRefund("re_1", refund.amount, SUCCEEDED, refund_id=refund.id)
    await hear(engine, order, [ProviderRefund("re_2", refund.amount, SUCCEEDED), surprise])
    assert await on_hand(engine, "pen") == 100_000
    assert await scalar(engine, "SELECT sum(amount) FROM shop.refunds WHERE state = 'succeeded'") == 2_000


async def test_goods_that_are_back_are_not_returned_again(engine: AsyncEngine, order: Order) -> None:
    elsewhere = ProviderRefund("re_1", TOTAL, SUCCEEDED)
    await hear(engine, order, [elsewhere])
    assert (await status(engine), await on_hand(engine, "limited-print")) == ("refunded", 10)
    [owed] = (await hear(engine, order, [replace(elsewhere, state=FAILED)])).to_make
    await take(engine, owed, FAILED, "re_2")  # so that something is left to be asked for
    with pytest.raises(RefundLinesExceedOrder, match="0 were bought and not refunded yet"):
        await ask(engine, order, lines=[RefundLine("limited-print", 1)])
    assert await on_hand(engine, "limited-print") == 10


async def test_what_has_come_to_nothing_is_not_made_by_who_remembers_it(engine: AsyncEngine, order: Order) -> None:
    provider = FakeProvider()
    refund = await ask(engine, order, amount=500)
    async with engine.begin() as connection:
        await ledger.give_up(connection, refund, "refused")
    now = await MoneyActivities(engine, provider).make_refund(refund)
    assert (now.state, provider.calls) == (FAILED, [])


async def test_a_payment_that_failed_and_is_tried_again_has_failed_until_it_is_paid(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k", *CART)
    states = []
    for state in (MoneyState.PROCESSING, MoneyState.FAILED, MoneyState.PROCESSING, MoneyState.PAID):
        payment = PaymentState("pi_1", state, TOTAL, "usd", order.order_id)
        async with engine.begin() as connection:
            await ledger.enter_payment(connection, payment, order.order_id)
            version = await ledger.version_of(connection, "pi_1")
            assert version is not None
            await ledger.record(connection, version, payment, [], [])
        states.append(await scalar(engine, "SELECT state FROM shop.payments"))
    assert states == ["processing", "failed", "failed", "paid"]


async def test_all_can_be_asked_for_again_after_it_made_room(engine: AsyncEngine, order: Order) -> None:
    await ask(engine, order, WHOLE_REFUND)
    elsewhere = ProviderRefund("re_1", 500, SUCCEEDED)
    await hear(engine, order, [elsewhere])
    again = await ask(engine, order, WHOLE_REFUND)
    assert (again.state, again.amount, again.attempt) == (PENDING, TOTAL - 500, 2)


async def test_what_is_owed_for_an_order_that_waits_is_asked_for_anew_after_it_made_room(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "k", *CART)
    payment = PaymentState("pi_1", MoneyState.PAID, 2_000, "usd", order.order_id)
    elsewhere = ProviderRefund("re_1", 500, SUCCEEDED)
    async with engine.begin() as connection:
        await ledger.owe(connection, payment, order.order_id, Reason.PAYMENT_MISMATCH)
    async with engine.begin() as connection:
        version = await ledger.version_of(connection, "pi_1")
        assert version is not None
        await ledger.record(connection, version, payment, [elsewhere], [])
    async with engine.begin() as connection:
        outcome = await ledger.owe(connection, payment, order.order_id, Reason.PAYMENT_MISMATCH)
    assert [one.amount for one in outcome.to_make] == [1_500]


@pytest.mark.parametrize("refunded_first", [True, False])
async def test_a_refund_and_the_warehouse_meet_in_the_orders_row(
    engine: AsyncEngine, order: Order, refunded_first: bool
) -> None:
    """Whoever comes second sees what the first has done, though both began before."""
    await make_due(engine)
    async with engine.connect() as asking, engine.connect() as sending:
        if refunded_first:
            await refunds.request_refund(asking, RefundOrderInput(order.order_id))
            assert await orders.dispatch_due(sending) == 0, "the row is somebody else's"
        else:
            assert await orders.dispatch_due(sending) == 1
            waiting = asyncio.create_task(refunds.request_refund(asking, RefundOrderInput(order.order_id)))
            await asyncio.sleep(0.05)
            await sending.commit()
            await waiting
        await asking.commit()
        await sending.commit()
    async with engine.begin() as connection:
        assert await orders.dispatch_due(connection) == 0
    assert await status(engine) == ("fulfilled" if refunded_first else "dispatched")


async def test_nothing_is_refunded_on_top_of_a_dispute_and_the_order_is_held_until_it_is_won(
    engine: AsyncEngine, order: Order
) -> None:
    await make_due(engine)
    for state in ("warning_needs_response", "needs_response", "under_review", "under_review"):
        await hear(engine, order, disputes=[dispute(state)])
        async with engine.begin() as connection:
            assert await orders.dispatch_due(connection) == 0
    with pytest.raises(NotRefundable, match="disputed"):
        await ask(engine, order)
    with pytest.raises(DBAPIError, match="is held"):
        await scalar(engine, "UPDATE shop.orders SET status = 'dispatched' RETURNING 1")
    await hear(engine, order, disputes=[dispute("won")])
    async with engine.begin() as connection:
        assert await orders.dispatch_due(connection) == 1
    await hear(engine, order, disputes=[dispute("needs_response")])
    assert await scalar(engine, "SELECT state FROM shop.disputes") == "won", "what is closed does not open again"
    assert await on_hand(engine, "limited-print") == 7


async def test_money_that_a_bank_has_taken_for_good_is_not_given_back_as_well(
    engine: AsyncEngine, order: Order
) -> None:
    wish = await ask(engine, order)
    await hear(engine, order, disputes=[dispute("needs_response")])
    outcome = await hear(engine, order, disputes=[dispute("lost")])
    assert outcome.to_make == []
    assert await scalar(engine, "SELECT state FROM shop.refunds WHERE id = :id", id=wish.id) == "cancelled"
    assert await status(engine) == "fulfilled"
    assert await scalar(engine, "SELECT on_hold FROM shop.orders")
    assert await scalar(engine, "SELECT look_at IS NULL FROM shop.payments"), "nothing stands open"
    assert await violations(engine) == []


async def test_late_money_is_owed_once_however_often_it_is_told(engine: AsyncEngine) -> None:
    order = await awaiting(engine, "late")
    async with engine.begin() as connection:
        await orders.close_order(
            connection,
            order.order_id,
            OrderStatus.CANCELLED,
            Reason.TIMEOUT,
            closes=[OrderStatus.AWAITING_PAYMENT],
        )
    payment = PaymentState("pi_late", MoneyState.PAID, 900, "usd", order.order_id)
    for _ in range(2):
        async with engine.begin() as connection:
            outcome = await ledger.owe(connection, payment, order.order_id, Reason.LATE_PAYMENT)
        assert [one.amount for one in outcome.to_make] == [900], "what came, not what had been agreed"
    await take(engine, outcome.to_make[0])
    assert await status(engine) == "refunded"
    assert await scalar(engine, "SELECT reason FROM shop.orders") == "late_payment"


async def test_a_second_payment_of_an_order_is_said_to_be_none_of_its(engine: AsyncEngine, order: Order) -> None:
    payment = PaymentState("pi_second", MoneyState.PAID, 900, "usd", order.order_id)
    with pytest.raises(PaymentUnknown, match=f"pi_second is not that of order {order.order_id}"):
        async with engine.begin() as connection:
            await ledger.owe(connection, payment, order.order_id, Reason.LATE_PAYMENT)


async def test_a_payment_that_is_gone_cannot_be_given_back_and_what_was_asked_of_it_is_tried_again(
    engine: AsyncEngine, order: Order
) -> None:
    """As after a restore that went wrong: what a person has to mend, so that no refund may end on it."""
    refund = await ask(engine, order, amount=500)
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(text("DELETE FROM shop.payments"))
    with pytest.raises(NotRefundable, match="There is no payment to give back: the order is fulfilled"):
        await ask(engine, order, "k2", amount=500)
    with pytest.raises(AssertionError):  # no error that policies take for final
        await take(engine, refund)
    async with engine.begin() as connection:
        with pytest.raises(AssertionError):
            await ledger.give_up(connection, refund, "It is refused")
        await ledger.put_off(connection, intent_of(order))


@pytest.mark.parametrize(("age", "next_check"), [(0, 7), (6, 7), (7, 30), (29, 30), (31, 120), (121, None)])
async def test_a_payment_at_rest_is_checked_now_and_then_in_its_first_months(
    engine: AsyncEngine, order: Order, age: int, next_check: int | None
) -> None:
    """Days. Whoever looks meanwhile, for whatever reason, has looked."""
    async with engine.begin() as connection:
        statement = "UPDATE shop.payments SET at = at - CAST(:age AS interval), check_at = now()"
        await connection.execute(text(statement), {"age": timedelta(days=age)})
    assert await due(engine) == [intent_of(order)]
    await hear(engine, order)
    assert await due(engine) == []
    planned = await scalar(engine, "SELECT check_at - at FROM shop.payments")
    assert planned == (timedelta(days=next_check) if next_check else None)


async def test_what_stands_open_is_looked_at_before_what_is_at_rest_and_of_that_only_some(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        for number in range(60):
            payment = PaymentState(f"pi_{number}", MoneyState.PAID, 100, "usd")
            await ledger.enter_payment(connection, payment, None)
        await connection.execute(text("UPDATE shop.payments SET check_at = now() - interval '1 hour'"))
        urgent = "UPDATE shop.payments SET look_at = now() WHERE payment_intent_id IN ('pi_58', 'pi_59')"
        await connection.execute(text(urgent))
    found = await due(engine)
    assert sorted(found[:2]) == ["pi_58", "pi_59"]
    assert len(found) == len(set(found)) == 52
    assert len(await due(engine, 1)) == 1


async def test_that_a_refund_was_asked_for_and_that_it_came_to_nothing_is_told(
    engine: AsyncEngine, order: Order
) -> None:
    refused, made = await ask(engine, order, amount=500), await ask(engine, order, "k2", amount=700)
    for _ in range(2):
        async with engine.begin() as connection:
            await ledger.give_up(connection, refused, "refused")
        await take(engine, made)
    async with engine.connect() as connection:
        told = await connection.execute(
            text(
                "SELECT kind, data ->> 'refund_id', data -> 'amount' FROM shop.order_events WHERE seq > 4 ORDER BY seq"
            )
        )
        assert [tuple(one) for one in told] == [
            ("refund_requested", refused.id, 500),
            ("refund_requested", made.id, 700),
            ("refund_given_up", refused.id, 500),
            ("refund_succeeded", made.id, 700),
        ]
    assert await violations(engine) == []


async def due(engine: AsyncEngine, limit: int = 100) -> list[str]:
    async with engine.connect() as connection:
        return [one.payment_intent_id for one in await ledger.due_payments(connection, limit)]
