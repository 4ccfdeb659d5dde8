"""The invariants of money, 1, 2 and a part of 5: the shop's ledger and the payment service's say the same, object by
object, and every order keeps exactly what it may.

What was charged, less refunds that succeeded or are on their way, less what a bank has taken for a dispute, is what the
payment service's ledger must have left of a payment. An order that was never fulfilled, or was refunded, keeps nothing.
"""

from db.invariants import BEFORE_GRACE, COUNT_ORDERS, ORDERS, QUIET, Check
from db.order_queries import KEPT

# The payment service's sessions that were opened for one of the orders; and those given by their own id.
_SESSIONS = """
    SELECT s.id, s.metadata ->> 'order_id' AS order_id, s.payment_intent
      FROM scope JOIN payments.sessions s ON s.metadata ->> 'order_id' = scope.id
     UNION SELECT s.id, s.metadata ->> 'order_id', s.payment_intent FROM scope JOIN payments.sessions s USING (id)
"""
# Charges and the balance of each, straight from its ledger.
_MONEY = f"""
    SELECT s.id AS session_id, s.order_id, s.payment_intent, min(l.currency) AS currency, max(l.at) AS at,
           count(*) FILTER (WHERE l.kind = 'charge') AS charges,
           sum(CASE WHEN l.kind IN ('charge', 'refund_failure', 'dispute_reversal') THEN l.amount ELSE -l.amount END)
               AS balance
      FROM ({_SESSIONS}) s JOIN payments.ledger l ON l.session_id = s.id
     GROUP BY s.id, s.order_id, s.payment_intent
"""
_OF_ORDERS = "SELECT p.* FROM scope JOIN shop.payments p ON p.order_id = scope.id"
_OF_SESSIONS = f"SELECT p.* FROM ({_SESSIONS}) s JOIN shop.payments p ON p.payment_intent_id = s.payment_intent"
# What the shop has of payments.
_ADDED_UP = """
    SELECT p.*, amount - (SELECT coalesce(sum(r.amount), 0) FROM shop.refunds r
                            WHERE r.payment_intent_id = p.payment_intent_id AND r.state IN ('pending', 'succeeded')
                              AND (r.provider_refund_id IS NOT NULL OR r.state = 'succeeded'))
                - (SELECT coalesce(sum(d.amount), 0) FROM shop.disputes d
                    WHERE d.payment_intent_id = p.payment_intent_id
                      AND d.state IN ('needs_response', 'under_review', 'lost')) AS balance,
           (SELECT coalesce(sum(r.amount), 0) FROM shop.refunds r
             WHERE r.payment_intent_id = p.payment_intent_id AND r.state = 'succeeded') AS refunded,
           (SELECT coalesce(sum(r.amount), 0) FROM shop.refunds r
             WHERE r.payment_intent_id = p.payment_intent_id AND r.state IN ('pending', 'succeeded')) AS wanted
      FROM ({payments}) p
"""
_BOOK_OF_ORDERS = _ADDED_UP.format(payments=_OF_ORDERS)
_BOOK = _ADDED_UP.format(payments=f"{_OF_ORDERS} UNION {_OF_SESSIONS}")


def _quiet_there(session: str) -> str:
    """Nothing has happened at the payment service for a while, so that the shop has had time to hear of it."""
    return f"""NOT EXISTS (SELECT 1 FROM payments.events e
                            WHERE e.session_id = {session} AND NOT e.created_at {BEFORE_GRACE})"""


OF_MONEY = (
    Check(
        1,
        f"SELECT coalesce(sum(charges), 0) FROM ({_MONEY}) m",
        f"""SELECT order_id, 'order ' || order_id || ' was charged ' || sum(charges) || ' times' FROM ({_MONEY}) m
             WHERE order_id IS NOT NULL GROUP BY order_id HAVING sum(charges) > 1""",
        needs_payments=True,
    ),
    Check(
        2,
        COUNT_ORDERS,
        f"""SELECT id, 'order ' || id || ' (' || status || ', total ' || amount_total || ' ' || currency || '): '
                   || wrong
              FROM (SELECT o.*, CASE
                    WHEN o.payment_intent_id IS NOT NULL AND b.payment_intent_id IS NULL
                    THEN 'its payment ' || o.payment_intent_id || ' is not in the ledger'
                    WHEN o.payment_intent_id IS NOT NULL AND o.status IN {KEPT}
                         AND (b.state, b.amount, b.currency) IS DISTINCT FROM ('paid', o.amount_total, o.currency)
                    THEN 'was paid ' || b.amount || ' ' || b.currency || ' (' || b.state || ')'
                    WHEN b.wanted > b.amount
                    THEN b.wanted || ' of ' || b.amount || ' are given back or on their way'
                    WHEN o.payment_intent_id IS NOT NULL AND o.status IN {KEPT} AND b.refunded = b.amount
                    THEN 'all of it was given back'
                    WHEN o.status IN ('cancelled', 'rejected', 'refunded') AND b.state = 'paid' AND b.balance > 0
                         AND b.wanted < b.amount
                         -- What failed a moment ago waits for its next attempt.
                         AND (b.look_at IS NULL OR b.look_at {BEFORE_GRACE})
                    THEN 'keeps ' || b.balance || ' that nobody gives back'
                    WHEN o.status IN {KEPT} AND o.on_hold <> shop.is_on_hold(o.id)
                    THEN 'is ' || CASE WHEN o.on_hold THEN '' ELSE 'not ' END || 'held, and should be otherwise'
                    END AS wrong
                      FROM {ORDERS} LEFT JOIN ({_BOOK_OF_ORDERS}) b ON b.order_id = o.id WHERE {QUIET}) judged
             WHERE wrong IS NOT NULL""",
    ),
    Check(
        2,
        f"SELECT count(*) FROM ({_MONEY}) m",
        f"""SELECT coalesce(m.order_id, b.order_id, m.session_id),
                   'payment ' || coalesce(b.payment_intent_id, m.payment_intent, m.session_id) || ' of '
                   || coalesce('order ' || coalesce(b.order_id, m.order_id), 'no order')
                   || ': the payment service has ' || coalesce(m.balance, 0) || ' ' || coalesce(m.currency, '')
                   || ' left of it, the shop ' || coalesce(b.balance || ' ' || b.currency, 'nothing')
              FROM ({_MONEY}) m FULL JOIN (SELECT * FROM ({_BOOK}) one WHERE state = 'paid') b
                ON b.payment_intent_id = m.payment_intent
              LEFT JOIN shop.orders o ON o.id = coalesce(b.order_id, m.order_id)
             WHERE (o.id IS NULL OR {QUIET}) AND coalesce(m.at, '-infinity') {BEFORE_GRACE}
               AND (m.session_id IS NULL OR {_quiet_there("m.session_id")})
               AND (coalesce(m.balance, 0) <> coalesce(b.balance, 0) OR m.currency <> b.currency)""",
        needs_payments=True,
    ),
    Check(
        5,
        f"""SELECT count(*) FROM ({_BOOK}) b
              LEFT JOIN shop.refunds USING (payment_intent_id) LEFT JOIN shop.disputes USING (payment_intent_id)""",
        # A refund that succeeded before there was a ledger has no name there: it stands for one of the payment
        # service's.
        f"""SELECT coalesce(s.order_id, s.id), 'refund ' || t.id || ' of payment ' || s.payment_intent
                   || ': the payment service says ' || t.amount || ' ' || t.status || ', the shop '
                   || coalesce(r.amount || ' ' || r.state, 'nothing')
              FROM ({_SESSIONS}) s JOIN payments.refunds t ON t.session_id = s.id
              JOIN shop.payments p ON p.payment_intent_id = s.payment_intent
              LEFT JOIN shop.refunds r ON r.provider_refund_id = t.id
             WHERE {_quiet_there("s.id")}
               AND (t.amount, CASE t.status WHEN 'requires_action' THEN 'pending' WHEN 'canceled' THEN 'cancelled'
                              ELSE t.status END) IS DISTINCT FROM (r.amount, r.state)
               AND NOT EXISTS (SELECT 1 FROM shop.refunds n WHERE n.payment_intent_id = p.payment_intent_id
                                  AND n.state = 'succeeded' AND n.provider_refund_id IS NULL)
            UNION ALL
            SELECT coalesce(r.order_id, r.payment_intent_id), 'refund ' || r.provider_refund_id || ' of payment '
                   || r.payment_intent_id || ' (' || r.amount || ' ' || r.state
                   || ') is not known to the payment service'
              FROM ({_BOOK}) b JOIN shop.refunds r USING (payment_intent_id)
             WHERE r.provider_refund_id IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM payments.refunds t WHERE t.id = r.provider_refund_id)
            UNION ALL
            SELECT coalesce(s.order_id, s.id), 'dispute ' || coalesce(t.id, d.id) || ' of payment ' || s.payment_intent
                   || ': the payment service says ' || coalesce(t.amount || ' ' || t.status, 'nothing')
                   || ', the shop ' || coalesce(d.amount || ' ' || d.state, 'nothing')
              FROM ({_SESSIONS}) s JOIN shop.payments p ON p.payment_intent_id = s.payment_intent
              LEFT JOIN payments.disputes t ON t.session_id = s.id
              LEFT JOIN shop.disputes d ON d.payment_intent_id = p.payment_intent_id
             WHERE (t.id IS NOT NULL OR d.id IS NOT NULL) AND {_quiet_there("s.id")}
               AND (t.id, t.amount, t.status) IS DISTINCT FROM (d.id, d.amount, d.state)""",
        needs_payments=True,
    ),
)
