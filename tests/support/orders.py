"""Orders straight in the database, each step in a transaction of its own: for tests of what the tables decide."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.contracts import OpenOrderInput
from checkout.orders import LIVE, CartLine, Order, OrderStatus, Reason
from checkout.sessions import PaymentSession
from db import opening, orders
from db.audit import audit_ledgers


def request(key: str, *lines: CartLine) -> OpenOrderInput:
    now = datetime.now(UTC)
    return OpenOrderInput(key, list(lines) or [CartLine("pen", 1)], "f" * 64, now, now + timedelta(minutes=15))


async def open_order(engine: AsyncEngine, key: str, *lines: CartLine) -> Order:
    async with engine.begin() as connection:
        return await opening.open_order(connection, request(key, *lines))


async def awaiting(engine: AsyncEngine, key: str, *lines: CartLine) -> Order:
    order = await open_order(engine, key, *lines)
    async with engine.begin() as connection:
        return await orders.record_session(connection, order.order_id, PaymentSession(f"cs_{key}", "https://pay"))


async def fulfil(engine: AsyncEngine, order: Order) -> Order:
    async with engine.begin() as connection:
        return await orders.fulfil_order(connection, order.order_id, f"pi_{order.order_id}", timedelta(hours=1))


async def close(engine: AsyncEngine, order: Order, status: OrderStatus = OrderStatus.CANCELLED) -> Order:
    async with engine.begin() as connection:
        return await orders.close_order(connection, order.order_id, status, Reason.TIMEOUT, leaving=LIVE)


async def scalar(engine: AsyncEngine, statement: str, **parameters: Any) -> Any:
    async with engine.connect() as connection:
        return (await connection.execute(text(statement), parameters)).scalar()


async def on_hand(engine: AsyncEngine, sku: str) -> int:
    return int(await scalar(engine, "SELECT on_hand FROM shop.products WHERE sku = :sku", sku=sku))


async def record(engine: AsyncEngine, order: Order, session_id: str) -> Order:
    async with engine.begin() as connection:
        return await orders.record_session(connection, order.order_id, PaymentSession(session_id, "https://pay"))


async def events(engine: AsyncEngine, kind: str) -> int:
    return int(await scalar(engine, "SELECT count(*) FROM shop.order_events WHERE kind = :kind", kind=kind))


async def violations(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return [text for finding in await audit_ledgers(connection, timedelta(0)) for text in finding.violations]
