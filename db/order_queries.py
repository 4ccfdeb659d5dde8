"""Orders as they are: by key, session or id, and those that somebody should look after."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.contracts import Order, OrderStatus, PaymentSession, Reason
from checkout.errors import OrderNotFound

COLUMNS = """id, checkout_key, fingerprint, status, reason, missing_skus, amount_total, currency, created_at,
    expires_at, payment_session_id, payment_url, simulator_url, dispatch_due_at"""

_BY_KEY = text(f"SELECT {COLUMNS} FROM shop.orders WHERE checkout_key = :checkout_key")
_BY_SESSION = text(f"SELECT {COLUMNS} FROM shop.orders WHERE payment_session_id = :session_id")
_BY_ID = text(f"SELECT {COLUMNS} FROM shop.orders WHERE id = :order_id")
_LIVE = text(f"""
    SELECT {COLUMNS} FROM shop.orders
     WHERE status IN ('pending', 'awaiting_payment') AND created_at < clock_timestamp() - CAST(:grace AS interval)
     ORDER BY created_at LIMIT :limit
""")
_OWING = text(f"""
    SELECT {COLUMNS} FROM shop.orders
     WHERE status = 'cancelled' AND payment_intent_id IS NOT NULL
       AND updated_at < clock_timestamp() - CAST(:grace AS interval)
     ORDER BY updated_at LIMIT :limit
""")


def order_of(row: Row[Any]) -> Order:
    """The order of a row with `COLUMNS`."""
    session = None
    if row.payment_session_id is not None:
        session = PaymentSession(row.payment_session_id, row.payment_url, row.simulator_url)
    return Order(
        order_id=row.id,
        checkout_key=row.checkout_key,
        fingerprint=row.fingerprint,
        status=OrderStatus(row.status),
        amount_total=row.amount_total,
        currency=row.currency,
        created_at=row.created_at,
        expires_at=row.expires_at,
        reason=Reason(row.reason) if row.reason else None,
        missing_skus=row.missing_skus,
        session=session,
        dispatch_due_at=row.dispatch_due_at,
    )


async def find_by_key(connection: AsyncConnection, checkout_key: str) -> Order | None:
    row = (await connection.execute(_BY_KEY, {"checkout_key": checkout_key})).one_or_none()
    return order_of(row) if row else None


async def find_by_id(connection: AsyncConnection, order_id: str) -> Order | None:
    row = (await connection.execute(_BY_ID, {"order_id": order_id})).one_or_none()
    return order_of(row) if row else None


async def find_by_session(connection: AsyncConnection, session_id: str) -> Order | None:
    row = (await connection.execute(_BY_SESSION, {"session_id": session_id})).one_or_none()
    return order_of(row) if row else None


async def live_orders(connection: AsyncConnection, grace: timedelta, limit: int) -> list[Order]:
    """Orders not yet decided that are older than `grace`, oldest first."""
    return [order_of(row) for row in await connection.execute(_LIVE, {"grace": grace, "limit": limit})]


async def owing_orders(connection: AsyncConnection, grace: timedelta, limit: int) -> list[Order]:
    """Cancelled orders for which money came more than `grace` ago, and is not given back yet."""
    return [order_of(row) for row in await connection.execute(_OWING, {"grace": grace, "limit": limit})]


async def get_order(connection: AsyncConnection, order_id: str) -> Order:
    """The order, or `OrderNotFound`."""
    order = await find_by_id(connection, order_id)
    if order is None:
        raise OrderNotFound(f"No order {order_id}")
    return order
