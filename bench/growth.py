"""A shop that has sold a lot: it is given a past, and asked how long each of its pages and lists takes then.

The past is made in the database alone, orders by the million, between two years ago and yesterday, each with all that
belongs to it: the auditor finds nothing wrong, and the stock that can be sold stays what it was. The foreign keys and
guards, which would look at every row, are off meanwhile (`session_replication_role`): that an audit of everything is
clean afterwards is the proof.
"""

import secrets
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx

from bench.progress import Phase, silent

CHUNK = 20_000  # orders a transaction
_SQL = Path(__file__).parent
_GROWN = (
    "shop.orders, shop.order_lines, shop.reservations, shop.order_events, shop.stock_movements, shop.payments,"
    " shop.refunds, shop.audit_due"
)
_CHUNK = """
    SET LOCAL session_replication_role = replica;
    SET LOCAL past.run = 'past-{run}-'; SET LOCAL past.orders = {orders};
    SET LOCAL past.first = {first}; SET LOCAL past.last = {last};
"""

PAGE, AUDIT = 0.1, 1.0  # seconds that one may take at its middle
TIMES = 15
_STATUSES = ("pending", "awaiting_payment", "fulfilled", "dispatched", "rejected", "refunded")
# `order_id` and the `beginning` of its key are those of some order of long ago.
_PAGES = {
    "storefront": "/",
    "storefront, a search": "/?q=pen",
    "GET /products": "/products",
    "order's page": "/orders/{order_id}/view",
    "console: overview, hour": "/admin",
    "console: overview, week": "/admin?span=week",
    "console: stock": "/admin/console/stock",
    "console: orders": "/admin/console/orders",
    "console: one order": "/admin/console/orders/{order_id}",
    "GET /admin/orders, 500": "/admin/orders?limit=500",
    **{f"orders by status: {status}": f"/admin/orders?status={status}" for status in _STATUSES},
    "orders by e-mail": "/admin/orders?q=CUSTOMER7@example.com",
    "orders by an e-mail that never bought": "/admin/orders?q=nobody@example.com",
    "orders by the beginning of a key": "/admin/orders?q={beginning}",
    "orders by a key that is none": "/admin/orders?q=no-such-key",
    "audit of what is recent": "/admin/audit",
    "console: audit": "/admin/console/audit",
}


async def make_history(database_url: str, orders: int, phase: Phase = silent) -> None:
    """Add `orders` past orders. The role must be the schemas' owner and may set `session_replication_role`.

    A second call adds as many more. Interrupted, it leaves whole orders.
    """
    connection, run = await asyncpg.connect(database_url), secrets.token_hex(4)
    try:
        has_payments = await connection.fetchval("SELECT to_regclass('payments.ledger') IS NOT NULL")
        statements = (_SQL / "history.sql").read_text()
        grown = _GROWN
        if has_payments:
            statements += (_SQL / "history_payments.sql").read_text()
            grown += ", payments.sessions, payments.ledger"
        for first in range(1, orders + 1, CHUNK):
            last = min(first + CHUNK - 1, orders)
            chunk = _CHUNK.format(run=run, orders=orders, first=first, last=last)
            async with connection.transaction():
                await connection.execute(chunk + statements)
            phase("past orders", last, orders)
        phase("statistics", 0, 1)
        await connection.execute(f"VACUUM ANALYZE {grown}")
        phase("statistics", 1, 1)
    finally:
        await connection.close()


@dataclass(frozen=True)
class Timed:
    """Seconds: the middle one and the slowest of several, and what it may take. `size` of the answer in bytes."""

    name: str
    middle: float
    slowest: float
    allowed: float
    size: int

    @property
    def is_quick(self) -> bool:
        return self.middle <= self.allowed


def time_pages(url: str, token: str, phase: Phase = silent, times: int = TIMES) -> list[Timed]:
    """Ask for each page so many `times`, one after the other, over one connection. Raises `ValueError` for a shop that
    is not ready for it."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/html", "Origin": url}
    with httpx.Client(base_url=url, timeout=120, trust_env=False, headers=headers) as client:

        def ask(path: str) -> httpx.Response:
            return client.get(path).raise_for_status()

        if client.post("/admin/login", data={"token": token}).is_error:
            raise ValueError("the console does not take this operator token")
        old = ask("/admin/orders?status=dispatched&limit=500").json()["orders"]
        if not old:
            raise ValueError("the shop has sold nothing yet: make a past first, `python -m bench history`")
        # A past that was made and never audited is all due at once, which no shop's ever is.
        if waiting := ask("/admin/audit").json()["waiting"]:
            raise ValueError(f"{waiting:,} orders have never been audited: run `checkout audit --all` first")
        known = {"order_id": old[-1]["order_id"], "beginning": old[-1]["checkout_key"][:14]}
        timed = []
        for number, (name, path) in enumerate(_PAGES.items()):
            phase(name, number, len(_PAGES))
            seconds, size = [], 0
            for _ in range(times):
                began = time.perf_counter()
                answer = ask(path.format(**known))
                seconds.append(time.perf_counter() - began)
                size = len(answer.content)
            allowed = AUDIT if "audit" in name else PAGE
            timed.append(Timed(name, statistics.median(seconds), max(seconds), allowed, size))
    return timed
