"""A healthy shop with an order of every kind, and statements past its guards."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.contracts import OpenOrderInput, RefundOrderInput
from checkout.orders import CartLine, Order, OrderStatus, Reason
from checkout.payments import ProviderRefund, RefundState
from checkout.sessions import PaymentSession
from db import ledger, opening, orders, refunds
from tests.support.databases import migrate_payments

KEYS = ("live", "sent", "gone", "back", "none")
"""Of the orders: awaiting payment, dispatched, cancelled, refunded, out of stock."""
TOTAL = 24_000
"""Minor units; of all but the last."""
NOTED = ("orders", "order_lines", "reservations", "stock_movements", "order_events", "payments", "refunds", "disputes")
_NOTING = text("""
    SELECT relname, tgname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
     WHERE relnamespace = 'shop'::regnamespace AND (tgname LIKE 'note\\_%' OR tgname LIKE 'sum\\_%')
""")
_SESSION = """
    INSERT INTO payments.sessions (id, status, payment_status, amount_total, currency, line_items, metadata,
                                   success_url, created_at, expires_at, closed_at, charge,
                                   payment_intent)
    VALUES (:id, :status, :payment_status, :amount, 'usd', '[]',
            jsonb_build_object('order_id', CAST(:order_id AS text)), '', now(), now(),
            CASE WHEN :status = 'open' THEN NULL ELSE now() END, :charge, :intent)
"""
_LEDGER = """
    INSERT INTO payments.ledger (id, session_id, kind, amount, currency) VALUES (:id, :session, :kind, :amount, 'usd')
"""
_REFUND = "INSERT INTO payments.refunds (id, session_id, amount) VALUES (:id, :session, :amount)"
_EVENT = (
    "INSERT INTO payments.events (id, type, session_id, payload) VALUES (:event, 'checkout.session.x', :session, '')"
)
_DELIVERY = "INSERT INTO payments.deliveries (event_id, status, next_attempt_at) VALUES (:event, 'delivered', now())"


async def run(engine: AsyncEngine, *statements: str, **parameters: Any) -> None:
    """Execute with every trigger and foreign key off."""
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            used = {name: value for name, value in parameters.items() if f":{name}" in statement}
            await connection.execute(text(statement), used)


async def mend_missing_reservations(engine: AsyncEngine, order_id: str) -> None:
    """By the statement that docs/operations.md has for it, under all guards."""
    told = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    statement = told.partition("### A reservation is missing")[2].partition("```sql")[2].partition("```")[0]
    async with engine.begin() as connection:
        await connection.execute(text(statement.replace("ord_…", order_id)))


async def run_noted(engine: AsyncEngine, *statements: str) -> None:
    """Execute with every guard and foreign key off, but not the triggers that note what an audit has to look at."""
    tables = [f"shop.{name}" for name in ("products", *NOTED)]
    tables += [f"payments.{name}" for name in ("sessions", "ledger", "refunds", "disputes")]
    async with engine.begin() as connection:
        for table in tables:
            await connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        for table, trigger in (await connection.execute(_NOTING)).all():
            await connection.execute(text(f"ALTER TABLE shop.{table} ENABLE TRIGGER {trigger}"))
        for statement in statements:
            await connection.execute(text(statement))
        for table in tables:
            await connection.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER ALL"))


async def open_order(engine: AsyncEngine, key: str, quantity: int = 2) -> Order:
    """An order awaiting payment of session `cs_<key>`, or rejected when there is too little stock."""
    now = datetime.now(UTC)
    lines = [CartLine("limited-print", quantity)]
    request = OpenOrderInput(key, lines, "f" * 64, now, now + timedelta(hours=1))
    async with engine.begin() as connection:
        order = await opening.open_order(connection, request)
    if order.status is not OrderStatus.PENDING:
        return order
    async with engine.begin() as connection:
        return await orders.record_session(connection, order.order_id, PaymentSession(f"cs_{key}", "http://pay"))


async def make_healthy_shop(engine: AsyncEngine) -> None:
    """One order of each of `KEYS`, with its session at the payment service and what was paid there."""
    await migrate_payments(engine)
    live, sent, gone, back = [await open_order(engine, key) for key in KEYS[:4]]
    await open_order(engine, "none", 9)
    async with engine.begin() as connection:
        for order in (sent, back):
            await orders.fulfil_order(connection, order.order_id, f"pi_{order.checkout_key}", timedelta(0))
            if order is sent:
                assert await orders.dispatch_due(connection) == 1
        await orders.close_order(
            connection, gone.order_id, OrderStatus.CANCELLED, Reason.CUSTOMER, leaving=[OrderStatus.AWAITING_PAYMENT]
        )
    async with engine.begin() as connection:
        given_back = await refunds.request_refund(connection, RefundOrderInput(back.order_id))
    async with engine.begin() as connection:
        made = ProviderRefund("refund_back", TOTAL, RefundState.SUCCEEDED, refund_id=given_back.id)
        await ledger.record_made(connection, "pi_back", made)
    await _session(engine, live, "open")
    await _session(engine, sent, "complete", "charge")
    await _session(engine, gone, "expired")
    await _session(engine, back, "complete", "charge", "refund")


async def _session(engine: AsyncEngine, order: Order, status: str, *money: str) -> None:
    key = order.checkout_key
    await run(
        engine,
        _SESSION,
        id=f"cs_{key}",
        status=status,
        payment_status="paid" if money else "unpaid",
        amount=order.amount_total,
        order_id=order.order_id,
        charge=f"ch_{key}" if money else None,
        intent=f"pi_{key}",
    )
    for kind in money:
        await run(engine, _LEDGER, id=f"{kind}_{key}", session=f"cs_{key}", kind=kind, amount=order.amount_total)
    if "refund" in money:
        await run(engine, _REFUND, id=f"refund_{key}", session=f"cs_{key}", amount=order.amount_total)
    await run(engine, _EVENT, _DELIVERY, event=f"evt_{key}", session=f"cs_{key}")
