"""Refunds that are asked for: of many at once, under one key, by lines and of all that is left, it adds up."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.contracts import RefundOrderInput
from checkout.errors import KeyReused, NotRefundable, RefundExceedsPayment, RefundLinesExceedOrder
from checkout.ids import WHOLE_REFUND
from checkout.orders import Order
from checkout.payments import (
    ProviderRefund,
    RefundLine,
)
from db import ledger, refunds
from tests.integration.ledger.steps import FAILED, PENDING, SUCCEEDED, TOTAL, ask, hear, intent_of, status, take
from tests.support.orders import on_hand, scalar, violations


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


async def test_all_can_be_asked_for_again_after_it_made_room(engine: AsyncEngine, order: Order) -> None:
    await ask(engine, order, WHOLE_REFUND)
    elsewhere = ProviderRefund("re_1", 500, SUCCEEDED)
    await hear(engine, order, [elsewhere])
    again = await ask(engine, order, WHOLE_REFUND)
    assert (again.state, again.amount, again.attempt) == (PENDING, TOTAL - 500, 2)


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
