"""The invariants over both ledgers, the shop's and the payment service's, as queries whose rows are violations.

1, 3, 4, 7, 8 and 9 must hold at every moment; 2, 5, 6 and 10 once an order has been left alone for `grace`, since a
payment and its fulfilment are two transactions in two systems. The payment service's ledger can be read only where the
simulator shares the database; with another provider those checks say "0 checked".

`OF_ORDERS`, and those of their money (`db.money_invariants`), look at the orders that they are given (`SCOPE`), each
with all that hangs on it and nothing else. `STANDING` look at everything there is, each by an index that holds only
what may be wrong: what is live, open, or owed.
"""

from dataclasses import dataclass

from db.order_queries import COUNTED_LINES, KEPT, LIVE

NAMES = {
    1: "No order has two charges",
    2: "Both ledgers have the same money, and every order keeps exactly what it may",
    3: "Reserved stock is that of live and fulfilled orders, line by line",
    4: "No stock below zero, and on hand + held + consumed = initial + restocked - written off",
    5: "No session of an ended order can be paid, and both ledgers have the same refunds and disputes",
    6: "Every order ends, and every event of the payment service arrives",
    7: "A key has one order, and its answer is the one first given",
    8: "What a customer was told stays true",
    9: "No order leaves an end, but to refunded",
    10: "Every live order has exactly one running workflow, an ended one none",
    11: "Something was there to check",
}
MAX_VIOLATIONS = 100  # of one check


@dataclass(frozen=True)
class Check:
    """`checked` counts what was looked at; `violations` selects whom one is about and one sentence."""

    number: int
    checked: str
    violations: str
    needs_payments: bool = False


SCOPE = "WITH scope AS (SELECT unnest(CAST(:orders AS text[])) AS id)"
ORDERS = "scope JOIN shop.orders o USING (id)"
COUNT_ORDERS = f"SELECT count(*) FROM {ORDERS}"
_LINES = "scope JOIN shop.order_lines l ON l.order_id = scope.id"
_EVENTS = "scope JOIN shop.order_events e ON e.order_id = scope.id"
BEFORE_GRACE = "< clock_timestamp() - CAST(:grace AS interval)"
QUIET = f"o.updated_at {BEFORE_GRACE}"

OF_ORDERS = (
    Check(
        3,
        f"SELECT count(*) FROM {_LINES}",
        f"""SELECT id, 'order ' || id || ' (' || status || '), ' || sku || ': line of ' || wanted || ', '
                   || coalesce(state || ' ' || quantity, 'no reservation')
              FROM (SELECT o.id, o.status, l.sku, l.quantity AS wanted, r.quantity, r.state,
                           CASE WHEN o.status IN {LIVE} THEN 'held'
                                WHEN o.status IN {KEPT} THEN 'consumed'
                                WHEN o.status = 'rejected' AND o.missing_skus IS NOT NULL THEN NULL  -- held nothing
                                WHEN o.status = 'refunded' AND EXISTS (
                                    SELECT 1 FROM {COUNTED_LINES} c
                                     WHERE c.order_id = o.id AND c.sku = l.sku AND NOT c.restocked)
                                    THEN 'consumed'  -- the customer kept them
                                ELSE 'released' END AS right_state
                      FROM {_LINES} JOIN shop.orders o ON o.id = l.order_id
                      LEFT JOIN shop.reservations r ON r.order_id = l.order_id AND r.sku = l.sku) line
             WHERE state IS DISTINCT FROM right_state OR quantity <> wanted""",
    ),
    Check(
        4,
        "SELECT 0",
        f"""SELECT order_id, 'order ' || order_id || ', ' || sku || ': took ' || -sum(moved) || ' from stock, and has '
                   || sum(reserved) || ' reserved'
              FROM (SELECT m.order_id, m.sku, m.delta AS moved, 0 AS reserved
                      FROM scope JOIN shop.stock_movements m ON m.order_id = scope.id
                    UNION ALL
                    SELECT r.order_id, r.sku, 0, r.quantity - coalesce(
                               (SELECT sum(c.quantity) FROM {COUNTED_LINES} c
                                 WHERE c.order_id = r.order_id AND c.sku = r.sku AND c.restocked), 0)
                      FROM scope JOIN shop.reservations r ON r.order_id = scope.id
                     WHERE r.state IN ('held', 'consumed')) part
             GROUP BY order_id, sku HAVING sum(moved) + sum(reserved) <> 0""",
    ),
    Check(
        7,
        COUNT_ORDERS,
        f"""SELECT o.id, 'order ' || o.id || ' answers session ' || coalesce(o.payment_session_id, 'none')
                  || ', its customer was told ' || coalesce(e.data ->> 'session_id', 'none')
             FROM {ORDERS} JOIN shop.order_events e ON e.order_id = o.id AND e.kind = 'awaiting_payment'
            WHERE e.data ->> 'session_id' IS DISTINCT FROM o.payment_session_id
           UNION ALL
           SELECT o.id, 'order ' || o.id || ': total ' || o.amount_total || ', its lines add up to '
                  || sum(l.quantity * l.unit_amount)
             FROM {ORDERS} JOIN shop.order_lines l ON l.order_id = o.id
            GROUP BY o.id HAVING sum(l.quantity * l.unit_amount) <> o.amount_total
           UNION ALL
           SELECT o.id, 'order ' || o.id || ': total in ' || o.currency || ', ' || l.sku || ' sold in ' || l.currency
             FROM {ORDERS} JOIN shop.order_lines l ON l.order_id = o.id WHERE l.currency <> o.currency
           UNION ALL
           SELECT o.id, 'key ' || o.checkout_key || ' has the orders ' || o.id || ' and ' || other.id
             FROM {ORDERS} JOIN shop.orders other ON other.checkout_key = o.checkout_key AND other.id <> o.id""",
    ),
    Check(
        8,
        f"SELECT count(*) FROM {_EVENTS}",
        f"""SELECT o.id, 'order ' || o.id || ' was told ' || e.kind || ' and is ' || o.status
              FROM {_EVENTS} JOIN shop.orders o ON o.id = e.order_id
             WHERE (e.kind IN {KEPT} AND o.status NOT IN ('fulfilled', 'dispatched', 'refunded'))
                OR (e.kind IN ('cancelled', 'rejected') AND o.status NOT IN (e.kind, 'refunded'))
                OR (e.kind = 'refunded' AND o.status <> 'refunded')
            UNION ALL
            SELECT o.id, 'order ' || o.id || ' is ' || o.status || ' but its timeline does not say so' FROM {ORDERS}
             WHERE o.status <> 'pending'
               AND NOT EXISTS (SELECT 1 FROM shop.order_events e WHERE e.order_id = o.id AND e.kind = o.status)""",
    ),
    Check(
        9,
        f"SELECT count(*) FROM {_EVENTS}",
        f"""SELECT e.order_id, 'order ' || e.order_id || ' went from ' || e.kind || ' to ' || b.kind
              FROM {_EVENTS} JOIN shop.order_events b ON b.order_id = e.order_id AND b.seq > e.seq
             WHERE b.kind IN ('reserved', 'awaiting_payment', 'payment_processing', 'paid', 'fulfilled', 'dispatched',
                              'rejected', 'cancelled', 'refunded')  -- its own moves; others tell of its money
               AND (e.kind IN ('dispatched', 'rejected', 'cancelled', 'refunded') AND b.kind <> 'refunded'
                OR (e.kind = 'refunded' AND b.kind = 'refunded')
                OR (e.kind = 'fulfilled' AND b.kind NOT IN ('dispatched', 'refunded')))""",
    ),
)

STANDING = (
    Check(
        4,
        "SELECT count(*) FROM shop.products",
        """SELECT p.sku, p.sku || ': on hand ' || p.on_hand || ', movements leave ' || coalesce(s.moved, 0)
             FROM shop.products p LEFT JOIN shop.stock_sums s USING (sku)
            WHERE p.on_hand < 0 OR p.on_hand <> coalesce(s.moved, 0)""",
    ),
    Check(
        5,
        "SELECT count(*) FROM payments.sessions WHERE status = 'open'",
        f"""SELECT o.id, 'order ' || o.id || ' (' || o.status || ') has the open session ' || s.id
              FROM payments.sessions s JOIN shop.orders o ON o.id = s.metadata ->> 'order_id'
             WHERE s.status = 'open' AND o.status NOT IN {LIVE} AND {QUIET}""",
        needs_payments=True,
    ),
    Check(
        6,
        f"""SELECT (SELECT count(*) FROM shop.orders WHERE status IN {LIVE})
                 + (SELECT count(*) FROM shop.orders
                     WHERE status = 'fulfilled' AND NOT on_hold AND dispatch_due_at IS NOT NULL)
                 + (SELECT count(*) FROM shop.payments WHERE look_at IS NOT NULL)""",
        f"""SELECT id, 'order ' || id || ' is ' || status || ', its time was up at '
                   || coalesce(processing_until, expires_at)
              FROM shop.orders WHERE status IN {LIVE} AND coalesce(processing_until, expires_at) {BEFORE_GRACE}
            UNION ALL
            SELECT id, 'order ' || id || ' was due for dispatch at ' || dispatch_due_at FROM shop.orders
             WHERE status = 'fulfilled' AND NOT on_hold AND dispatch_due_at {BEFORE_GRACE}
            UNION ALL
            SELECT coalesce(r.order_id, r.payment_intent_id), 'refund ' || r.id || ' of payment ' || r.payment_intent_id
                   || ' is owed since ' || r.at || ', and the payment service has not taken it'
              FROM shop.refunds r WHERE r.state = 'pending' AND r.provider_refund_id IS NULL AND r.at {BEFORE_GRACE}
            UNION ALL
            SELECT coalesce(order_id, payment_intent_id), 'payment ' || payment_intent_id
                   || ' was to be looked at again at ' || look_at
              FROM shop.payments WHERE look_at {BEFORE_GRACE} - interval '2 minutes'""",
    ),
    Check(
        6,
        "SELECT count(*) FROM payments.deliveries WHERE status = 'pending'",
        f"""SELECT d.event_id, 'event ' || d.event_id || ' has not been taken after ' || d.attempts || ' attempts'
              FROM payments.deliveries d WHERE d.status = 'pending' AND d.created_at {BEFORE_GRACE}""",
        needs_payments=True,
    ),
)
