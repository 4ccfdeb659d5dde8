"""What the tests of the ledger do: ask for a refund, let the provider take it, hear what it tells."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.contracts import RefundOrderInput
from checkout.orders import CartLine, Order
from checkout.payments import (
    PaymentState,
    ProviderDispute,
    ProviderPayment,
    ProviderRefund,
    Refund,
    RefundState,
)
from db import ledger, refunds
from db.book import Book
from tests.support.orders import scalar

FAILED, PENDING, SUCCEEDED = RefundState.FAILED, RefundState.PENDING, RefundState.SUCCEEDED
CART = (CartLine("limited-print", 3), CartLine("pen", 1))
TOTAL = 3 * 12_000 + 1_000


def intent_of(order: Order) -> str:
    return f"pi_{order.order_id}"


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
    payment = ProviderPayment(intent_of(order), PaymentState.PAID, order.amount_total, "usd", order.order_id)
    async with engine.begin() as connection:
        version = await ledger.version_of(connection, intent_of(order))
    assert version is not None
    async with engine.begin() as connection:
        outcome = await ledger.record(connection, version, payment, told, disputes)
    assert outcome is not None
    return outcome


async def status(engine: AsyncEngine) -> str:
    return str(await scalar(engine, "SELECT status FROM shop.orders"))
