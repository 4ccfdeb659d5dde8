"""The auditor's SQL: the invariants over both ledgers, the shop's and the payment service's, in one snapshot.

Each check is a query whose rows are violations. 1, 3, 4, 7, 8 and 9 must hold at every moment; 2, 5, 6 and 10 once an
order has been left alone for `grace`, since a payment and its fulfilment are two transactions in two systems. The
payment service's ledger can be read only where the mock shares the database; with another provider those checks say
"0 checked".
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

MAX_VIOLATIONS = 100


@dataclass(frozen=True)
class Check:
    """`violations` selects one text a violation; `checked` counts what was looked at."""

    number: int
    name: str
    violations: str
    checked: str
    needs_payments: bool = False


@dataclass(frozen=True)
class Finding:
    number: int
    name: str
    checked: int
    violations: list[str]


# Charges and refunds by the order that the session was opened for, straight from the ledger.
_MONEY = """
    SELECT s.id AS session_id, s.metadata ->> 'order_id' AS order_id, l.currency, max(l.at) AS at,
           count(*) FILTER (WHERE l.kind = 'charge') AS charges,
           sum(CASE l.kind WHEN 'charge' THEN l.amount ELSE -l.amount END) AS balance
      FROM payments.ledger l JOIN payments.sessions s ON s.id = l.session_id
     GROUP BY s.id, l.currency
"""
_QUIET = "o.updated_at < clock_timestamp() - CAST(:grace AS interval)"
_KEPT = "o.status IN ('fulfilled', 'dispatched')"

CHECKS = (
    Check(
        1,
        "No order has two charges",
        f"""SELECT 'order ' || order_id || ' was charged ' || sum(charges) || ' times' FROM ({_MONEY}) m
             WHERE order_id IS NOT NULL GROUP BY order_id HAVING sum(charges) > 1""",
        "SELECT count(*) FROM payments.ledger WHERE kind = 'charge'",
        needs_payments=True,
    ),
    Check(
        2,
        "Charges minus refunds are an order's total if it is fulfilled, else nothing",
        f"""SELECT 'order ' || o.id || ' (' || o.status || ', total ' || o.amount_total || ' ' || o.currency
                   || '): charges minus refunds are ' || coalesce(m.balance, 0)
              FROM shop.orders o
              LEFT JOIN (SELECT order_id, sum(balance) AS balance, min(currency) AS currency, max(at) AS at
                           FROM ({_MONEY}) s GROUP BY order_id) m ON m.order_id = o.id
             WHERE {_QUIET} AND coalesce(m.at, '-infinity') < clock_timestamp() - CAST(:grace AS interval)
               AND (coalesce(m.balance, 0) <> CASE WHEN {_KEPT} THEN o.amount_total ELSE 0 END
                    OR (m.balance <> 0 AND m.currency <> o.currency))
            UNION ALL
            SELECT 'session ' || m.session_id || ' was charged ' || m.balance || ' and belongs to no order'
              FROM ({_MONEY}) m LEFT JOIN shop.orders o ON o.id = m.order_id
             WHERE o.id IS NULL AND m.balance <> 0 AND m.at < clock_timestamp() - CAST(:grace AS interval)""",
        "SELECT count(*) FROM shop.orders",
        needs_payments=True,
    ),
    Check(
        3,
        "Reserved stock is that of live and fulfilled orders, line by line",
        f"""SELECT 'order ' || id || ' (' || status || '), ' || sku || ': line of ' || wanted || ', '
                   || coalesce(state || ' ' || quantity, 'no reservation')
              FROM (SELECT o.id, o.status, l.sku, l.quantity AS wanted, r.quantity, r.state,
                           CASE WHEN o.status IN ('pending', 'awaiting_payment') THEN 'held'
                                WHEN {_KEPT} THEN 'consumed'
                                WHEN o.status = 'rejected' AND o.missing_skus IS NOT NULL THEN NULL  -- held nothing
                                ELSE 'released' END AS right_state
                      FROM shop.orders o JOIN shop.order_lines l ON l.order_id = o.id
                      LEFT JOIN shop.reservations r ON r.order_id = l.order_id AND r.sku = l.sku) line
             WHERE state IS DISTINCT FROM right_state OR quantity <> wanted""",
        "SELECT count(*) FROM shop.order_lines",
    ),
    Check(
        4,
        "No stock below zero, and on hand + held + consumed = initial + restocked - written off",
        """SELECT p.sku || ': on hand ' || p.on_hand || ' + reserved ' || coalesce(r.reserved, 0)
                  || ', brought in ' || coalesce(m.brought, 0) || ', movements leave ' || coalesce(m.balance, 0)
             FROM shop.products p
             LEFT JOIN (SELECT sku, sum(quantity) AS reserved FROM shop.reservations
                         WHERE state IN ('held', 'consumed') GROUP BY sku) r USING (sku)
             LEFT JOIN (SELECT sku, sum(delta) AS balance,
                               sum(delta) FILTER (WHERE cause IN ('seed', 'restock', 'write_off')) AS brought
                          FROM shop.stock_movements GROUP BY sku) m USING (sku)
            WHERE p.on_hand < 0 OR p.on_hand + coalesce(r.reserved, 0) <> coalesce(m.brought, 0)
               OR p.on_hand <> coalesce(m.balance, 0)""",
        "SELECT count(*) FROM shop.products",
    ),
    Check(
        5,
        "No session of an order that has ended can still be paid",
        f"""SELECT 'order ' || o.id || ' (' || o.status || ') has the open session ' || s.id
              FROM payments.sessions s JOIN shop.orders o ON o.id = s.metadata ->> 'order_id'
             WHERE s.status = 'open' AND o.status NOT IN ('pending', 'awaiting_payment') AND {_QUIET}""",
        "SELECT count(*) FROM payments.sessions",
        needs_payments=True,
    ),
    Check(
        6,
        "Every order ends",
        """SELECT 'order ' || id || ' is ' || status || ', its time was up at ' || expires_at FROM shop.orders
            WHERE status IN ('pending', 'awaiting_payment')
              AND expires_at < clock_timestamp() - CAST(:grace AS interval)
           UNION ALL
           SELECT 'order ' || id || ' was due for dispatch at ' || dispatch_due_at FROM shop.orders
            WHERE status = 'fulfilled' AND dispatch_due_at < clock_timestamp() - CAST(:grace AS interval)
           UNION ALL
           SELECT 'order ' || id || ' is cancelled, and payment ' || payment_intent_id || ' is not given back'
             FROM shop.orders WHERE status = 'cancelled' AND payment_intent_id IS NOT NULL
              AND updated_at < clock_timestamp() - CAST(:grace AS interval)""",
        "SELECT count(*) FROM shop.orders",
    ),
    Check(
        7,
        "A key has one order, and its answer is the one first given",
        """SELECT 'order ' || o.id || ' answers session ' || coalesce(o.payment_session_id, 'none')
                  || ', its customer was told ' || coalesce(e.data ->> 'session_id', 'none')
             FROM shop.orders o JOIN shop.order_events e ON e.order_id = o.id AND e.kind = 'awaiting_payment'
            WHERE e.data ->> 'session_id' IS DISTINCT FROM o.payment_session_id
           UNION ALL
           SELECT 'order ' || o.id || ': total ' || o.amount_total || ', its lines add up to '
                  || sum(l.quantity * l.unit_amount)
             FROM shop.orders o JOIN shop.order_lines l ON l.order_id = o.id
            GROUP BY o.id HAVING sum(l.quantity * l.unit_amount) <> o.amount_total
           UNION ALL
           SELECT 'order ' || o.id || ': total in ' || o.currency || ', ' || l.sku || ' sold in ' || l.currency
             FROM shop.orders o JOIN shop.order_lines l ON l.order_id = o.id WHERE l.currency <> o.currency
           UNION ALL
           SELECT 'key ' || checkout_key || ' has ' || count(*) || ' orders' FROM shop.orders
            GROUP BY checkout_key HAVING count(*) > 1""",
        "SELECT count(*) FROM shop.orders",
    ),
    Check(
        8,
        "What a customer was told stays true",
        """SELECT 'order ' || o.id || ' was told ' || e.kind || ' and is ' || o.status
             FROM shop.orders o JOIN shop.order_events e ON e.order_id = o.id
            WHERE (e.kind IN ('fulfilled', 'dispatched') AND o.status NOT IN ('fulfilled', 'dispatched', 'refunded'))
               OR (e.kind IN ('cancelled', 'rejected') AND o.status NOT IN (e.kind, 'refunded'))
               OR (e.kind = 'refunded' AND o.status <> 'refunded')
           UNION ALL
           SELECT 'order ' || o.id || ' is ' || o.status || ' but its timeline does not say so' FROM shop.orders o
            WHERE o.status <> 'pending'
              AND NOT EXISTS (SELECT 1 FROM shop.order_events e WHERE e.order_id = o.id AND e.kind = o.status)""",
        "SELECT count(*) FROM shop.order_events",
    ),
    Check(
        9,
        "No order leaves an end, but to refunded",
        """SELECT 'order ' || a.order_id || ' went from ' || a.kind || ' to ' || b.kind
             FROM shop.order_events a JOIN shop.order_events b ON b.order_id = a.order_id AND b.seq > a.seq
            WHERE a.kind IN ('dispatched', 'rejected', 'cancelled', 'refunded') AND b.kind <> 'refunded'
               OR (a.kind = 'refunded' AND b.kind = 'refunded')
               OR (a.kind = 'fulfilled' AND b.kind NOT IN ('dispatched', 'refunded'))""",
        "SELECT count(*) FROM shop.order_events",
    ),
)

_EVENTS = Check(
    6,
    "Every order ends, and every event of the payment service arrives",
    """SELECT 'event ' || d.event_id || ' has not been taken after ' || d.attempts || ' attempts'
         FROM payments.deliveries d WHERE d.status = 'pending'
          AND d.created_at < clock_timestamp() - CAST(:grace AS interval)""",
    "SELECT count(*) FROM payments.deliveries",
    needs_payments=True,
)


@asynccontextmanager
async def snapshot(engine: AsyncEngine, patience: float) -> AsyncIterator[AsyncConnection]:
    """A transaction that only reads and in which all statements see one moment, `patience` seconds each."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        async with connection.begin():
            await connection.execute(text("SET TRANSACTION READ ONLY"))
            await connection.execute(text(f"SET LOCAL statement_timeout = '{patience:.0f}s'"))
            yield connection


async def audit_ledgers(connection: AsyncConnection, grace: timedelta) -> list[Finding]:
    """Findings by invariant, over a `snapshot`."""
    has_payments = bool((await connection.execute(text("SELECT to_regclass('payments.ledger')"))).scalar())
    findings: dict[int, Finding] = {}
    for check in (*CHECKS, _EVENTS):
        before = findings.get(check.number)
        if check.needs_payments and not has_payments:
            findings.setdefault(check.number, Finding(check.number, check.name, 0, []))
            continue
        rows = await connection.execute(text(f"{check.violations} LIMIT {MAX_VIOLATIONS}"), {"grace": grace})
        violations = [str(row[0]) for row in rows]
        checked = int((await connection.execute(text(check.checked))).scalar_one())
        findings[check.number] = Finding(
            check.number,
            check.name,
            checked + (before.checked if before else 0),
            (before.violations if before else []) + violations,
        )
    return [findings[number] for number in sorted(findings)]


async def outcomes(connection: AsyncConnection) -> dict[str, int]:
    """How often each outcome occurred: `status`, or `status:reason`. A run in which nothing happened proves nothing."""
    rows = await connection.execute(
        text("SELECT concat_ws(':', status, reason), count(*) FROM shop.orders GROUP BY 1 ORDER BY 1")
    )
    return {str(name): int(count) for name, count in rows}
