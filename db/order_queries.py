"""Orders as they are: by key, session or id, and those that somebody should look after."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.errors import OrderNotFound
from checkout.orders import Order, OrderStatus, Reason
from checkout.sessions import PaymentSession, SessionLine, SessionRequest

# Those that are fields of `Order` under the same name.
_SAME = (
    "checkout_key", "fingerprint", "missing_skus", "amount_total", "currency", "created_at", "expires_at",
    "dispatch_due_at", "payment_intent_id", "processing_until",
)  # fmt: skip
COLUMNS = ", ".join(["id", "status", "reason", "payment_session_id", "payment_url", "simulator_url", *_SAME])
# Statuses, as the partial indexes have them: undecided, and paid and ours to keep.
LIVE = "('pending', 'awaiting_payment', 'payment_processing')"
KEPT = "('fulfilled', 'dispatched')"
# Refunded lines that count: not of a refund that came to nothing before the provider took it.
COUNTED_LINES = """(
    SELECT f.order_id, l.refund_id, l.sku, l.quantity, l.restocked
      FROM shop.refunds f JOIN shop.refund_lines l ON l.refund_id = f.id
     WHERE f.state IN ('pending', 'succeeded') OR f.provider_refund_id IS NOT NULL
)"""

_BY_KEY = text(f"SELECT {COLUMNS} FROM shop.orders WHERE checkout_key = :value")
_BY_SESSION = text(f"SELECT {COLUMNS} FROM shop.orders WHERE payment_session_id = :value")
_BY_ID = text(f"SELECT {COLUMNS} FROM shop.orders WHERE id = :value")
_LOCK = text(f"SELECT {COLUMNS} FROM shop.orders WHERE id = :value FOR NO KEY UPDATE")
_LINES = text("""
    SELECT o.email, l.name, l.quantity, l.unit_amount
      FROM shop.orders o JOIN shop.order_lines l ON l.order_id = o.id WHERE o.id = :order_id ORDER BY l.sku
""")
_LIVE = text(f"""
    SELECT id AS order_id, checkout_key, payment_session_id AS session_id FROM shop.orders
     WHERE status IN {LIVE} AND created_at < clock_timestamp() - CAST(:grace AS interval)
     ORDER BY created_at LIMIT :limit
""")
# The 30 seconds: its workflow ends a moment after its order.
_ENDED_KEYS = text(f"""
    SELECT checkout_key FROM shop.orders
     WHERE checkout_key = ANY(CAST(:keys AS text[])) AND status NOT IN {LIVE}
       AND updated_at < clock_timestamp() - interval '30 seconds'
""")

_OPEN_OF_CLIENT = text(f"""
    SELECT checkout_key, client = :client AND status IN {LIVE} FROM shop.orders
     WHERE client = :client AND status IN {LIVE} OR checkout_key = ANY(:begun)
""")

# All that can be live, with room: looking at the oldest few only, a crowd of healthy orders would hide an
# orphan behind them for as long as it lasts.
MOST_UNSETTLED = 100_000


@dataclass(frozen=True)
class UnsettledOrder:
    """What one must know of an order to find the workflows that may look after it."""

    order_id: str
    checkout_key: str
    session_id: str | None


def order_of(row: Row[Any]) -> Order:
    """The order of a row with `COLUMNS`."""
    session = None
    if row.payment_session_id is not None:
        session = PaymentSession(row.payment_session_id, row.payment_url, row.simulator_url)
    reason, same = Reason(row.reason) if row.reason else None, {name: getattr(row, name) for name in _SAME}
    return Order(order_id=row.id, status=OrderStatus(row.status), reason=reason, session=session, **same)


def fold_email(email: str) -> str:
    """As `orders.email_folded` has it: two emails are one for who searches, if only their case differs."""
    return email.casefold()


async def find_by_key(connection: AsyncConnection, checkout_key: str) -> Order | None:
    return await _find(connection, _BY_KEY, checkout_key)


async def find_by_id(connection: AsyncConnection, order_id: str) -> Order | None:
    return await _find(connection, _BY_ID, order_id)


async def lock_order(connection: AsyncConnection, order_id: str) -> Order | None:
    return await _find(connection, _LOCK, order_id)


async def find_by_session(connection: AsyncConnection, session_id: str) -> Order | None:
    return await _find(connection, _BY_SESSION, session_id)


async def _find(connection: AsyncConnection, statement: TextClause, value: str) -> Order | None:
    row = (await connection.execute(statement, {"value": value})).one_or_none()
    return order_of(row) if row else None


async def live_orders(connection: AsyncConnection, grace: timedelta) -> list[UnsettledOrder]:
    """Orders not yet decided that are older than `grace`, oldest first."""
    rows = await connection.execute(_LIVE, {"grace": grace, "limit": MOST_UNSETTLED})
    return [UnsettledOrder(**row._asdict()) for row in rows]


async def ended_keys(connection: AsyncConnection, keys: Collection[str]) -> list[str]:
    """Those of the keys whose order has been at an end for over half a minute."""
    return [str(row[0]) for row in await connection.execute(_ENDED_KEYS, {"keys": list(keys)})]


async def open_orders(connection: AsyncConnection, client: str, begun: list[str]) -> tuple[int, set[str]]:
    """How many orders of one client hold stock right now, and which of the keys it has `begun` have an order by now."""
    rows = (await connection.execute(_OPEN_OF_CLIENT, {"client": client, "begun": begun})).all()
    return sum(bool(is_open) for _, is_open in rows), {key for key, _ in rows} & set(begun)


async def get_order(connection: AsyncConnection, order_id: str) -> Order:
    """The order, or `OrderNotFound`."""
    order = await find_by_id(connection, order_id)
    if order is None:
        raise OrderNotFound(f"No order {order_id}")
    return order


async def session_request(connection: AsyncConnection, order: Order) -> SessionRequest:
    """What the payment service is told of the order, its lines in SKU order. Raises `OrderNotFound`."""
    rows = (await connection.execute(_LINES, {"order_id": order.order_id})).all()
    if not rows:
        raise OrderNotFound(f"No order {order.order_id}")
    return SessionRequest(
        order_id=order.order_id,
        checkout_key=order.checkout_key,
        currency=order.currency,
        lines=[SessionLine(row.name, row.quantity, row.unit_amount) for row in rows],
        created_at=order.created_at,
        pay_by=order.expires_at,
        email=rows[0].email,
    )
