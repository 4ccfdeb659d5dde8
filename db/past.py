"""A past for the shop: orders by the million, made in the database alone, between two years ago and yesterday.

Each has all that belongs to it: the auditor finds nothing wrong, and the stock that can be sold stays what it was. The
foreign keys and guards, which would look at every row, are off meanwhile (`session_replication_role`): that an audit of
everything is clean afterwards is the proof.
"""

import secrets
from collections.abc import Callable

import asyncpg

from db.scripts import script

_CHUNK = 20_000  # orders a transaction
_SETTINGS = """
    SET LOCAL session_replication_role = replica;
    SET LOCAL past.run = 'past-{run}-'; SET LOCAL past.orders = {orders};
    SET LOCAL past.first = {first}; SET LOCAL past.last = {last};
"""
_GROWN = (
    "shop.orders, shop.order_lines, shop.reservations, shop.order_events, shop.stock_movements, shop.payments,"
    " shop.refunds, shop.audit_due"
)


async def make_past(database_url: str, orders: int, phase: Callable[[str, int, int], None]) -> None:
    """Add `orders` past orders. The role must be the schemas' owner and may set `session_replication_role`.

    `phase` hears what is done, how much of it, of how much. A second call adds as many more. Interrupted, it leaves
    whole orders.
    """
    connection, run = await asyncpg.connect(database_url), secrets.token_hex(4)
    try:
        statements, grown = script("past.sql"), _GROWN
        if await connection.fetchval("SELECT to_regclass('payments.ledger') IS NOT NULL"):
            statements += script("past_payments.sql")
            grown += ", payments.sessions, payments.ledger"
        for first in range(1, orders + 1, _CHUNK):
            last = min(first + _CHUNK - 1, orders)
            settings = _SETTINGS.format(run=run, orders=orders, first=first, last=last)
            async with connection.transaction():
                await connection.execute(settings + statements)
            phase("past orders", last, orders)
        phase("statistics", 0, 1)
        await connection.execute(f"VACUUM ANALYZE {grown}")
        phase("statistics", 1, 1)
    finally:
        await connection.close()
