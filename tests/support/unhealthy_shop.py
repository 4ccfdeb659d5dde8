"""Every way to make a healthy shop unhealthy that the auditor must see."""

from tests.support.healthy_shop import TOTAL

# Short words for the table below.


def _id(key: str) -> str:
    return f"(SELECT id FROM shop.orders WHERE checkout_key = '{key}')"


def _order(key: str, change: str) -> str:
    return f"UPDATE shop.orders SET {change} WHERE checkout_key = '{key}'"


def _reservation(key: str, change: str) -> str:
    return f"UPDATE shop.reservations SET {change} WHERE order_id = {_id(key)}"


def _told(key: str, kind: str) -> str:
    return f"INSERT INTO shop.order_events (order_id, seq, kind) VALUES ({_id(key)}, 9, '{kind}')"


def _untold(key: str, kind: str) -> str:
    return f"DELETE FROM shop.order_events WHERE kind = '{kind}' AND order_id = {_id(key)}"


def _stock(change: str, sku: str = "pen") -> str:
    return f"UPDATE shop.products SET on_hand = {change} WHERE sku = '{sku}'"


def _moved(sku: str, delta: int, cause: str, order: str = "NULL") -> str:
    return (
        f"INSERT INTO shop.stock_movements (sku, delta, cause, order_id) VALUES ('{sku}', {delta}, '{cause}', {order})"
    )


def money(key: str, kind: str = "charge", amount: int = TOTAL) -> str:
    """A line more in the payment service's ledger."""
    return (
        "INSERT INTO payments.ledger (id, session_id, kind, amount, currency)"
        f" VALUES ('more_' || gen_random_uuid(), 'cs_{key}', '{kind}', {amount}, 'usd')"
    )


def _at_provider(key: str, change: str) -> str:
    return f"UPDATE payments.sessions SET {change} WHERE id = 'cs_{key}'"


def _ledger(key: str, change: str) -> str:
    return f"UPDATE payments.ledger SET {change} WHERE session_id = 'cs_{key}'"


def _refunded(key: str, amount: int, state: str, provider_refund_id: str = "'re_planted'") -> str:
    return (
        "INSERT INTO shop.refunds (id, payment_intent_id, order_id, provider_refund_id, amount, state, requested_by,"
        f" request_key) VALUES ('rfd_planted', 'pi_{key}', {_id(key)}, {provider_refund_id}, {amount}, '{state}',"
        " 'operator', 'planted')"
    )


def _disputed(key: str, state: str) -> str:
    return (
        "INSERT INTO shop.disputes (id, payment_intent_id, order_id, amount, state, reason)"
        f" VALUES ('du_planted', 'pi_{key}', {_id(key)}, 5, '{state}', 'fraudulent')"
    )


def _disputed_there(key: str, status: str) -> str:
    return (
        "INSERT INTO payments.disputes (id, session_id, amount, reason, status, created_at, due_by, has_evidence)"
        f" VALUES ('du_planted', 'cs_{key}', 5, 'fraudulent', '{status}', now(), 0, false)"
    )


ALLOW_TWO_CHARGES = "DROP INDEX payments.one_charge_per_session"
_LATE = "now() - interval '1 second'"
_FULFILLED = f"status = 'fulfilled', fulfilled_at = now(), dispatch_due_at = {_LATE}"
PLANTED: list[tuple[int, str, list[str]]] = [
    (1, "a session charged twice", [ALLOW_TWO_CHARGES, money("sent")]),
    (
        1,
        "two sessions of one order, both charged",
        [_at_provider("gone", f"metadata = jsonb_build_object('order_id', {_id('sent')})"), money("gone")],
    ),
    (2, "a dispatched order that was not charged", ["DELETE FROM payments.ledger WHERE session_id = 'cs_sent'"]),
    (2, "a cancelled order that was charged", [money("gone")]),
    (2, "a refunded order whose money was kept", ["DELETE FROM payments.ledger WHERE kind = 'refund'"]),
    (2, "another amount than agreed", [_ledger("sent", "amount = 1")]),
    (2, "another currency than agreed", [_ledger("sent", "currency = 'eur'")]),
    (2, "a refund of an order that was dispatched", [money("sent", "refund")]),
    (
        2,
        "a payment that its order names, and no ledger has",
        ["DELETE FROM shop.payments WHERE order_id = " + _id("sent")],
    ),
    (2, "a payment of another amount than its order's", ["UPDATE shop.payments SET amount = 1"]),
    (2, "all of the money of a kept order given back", [_refunded("sent", TOTAL, "succeeded")]),
    (2, "more given back than was paid", [_refunded("back", 5, "pending")]),
    (2, "money of a refunded order that nobody gives back", ["UPDATE shop.refunds SET state = 'failed'"]),
    (2, "an order that is held for nothing", [_order("sent", "on_hold = true")]),
    (2, "a disputed order that is not held", [_disputed("sent", "needs_response")]),
    (5, "a refund that only the shop knows", [_refunded("sent", 7, "succeeded")]),
    (5, "a refund that only the payment service knows", ["DELETE FROM shop.refunds"]),
    (5, "a refund of another amount than the payment service's", ["UPDATE shop.refunds SET amount = amount - 1"]),
    (5, "a refund that succeeded for the shop alone", ["UPDATE payments.refunds SET status = 'failed'"]),
    (5, "a dispute that only the shop knows", [_disputed("sent", "won")]),
    (5, "a dispute that the shop has not heard of", [_disputed_there("sent", "lost")]),
    (6, "a refund that the payment service was never asked for", [_refunded("sent", 7, "pending", "NULL")]),
    (6, "a payment that nobody looks at", ["UPDATE shop.payments SET look_at = now() - interval '1 hour'"]),
    (2, "a charge that belongs to no order", [_at_provider("gone", "metadata = '{}'"), money("gone", amount=5)]),
    (3, "a dispatched order without reservation", [f"DELETE FROM shop.reservations WHERE order_id = {_id('sent')}"]),
    (
        3,
        "a cancelled order whose reservation is gone",
        [f"DELETE FROM shop.reservations WHERE order_id = {_id('gone')}"],
    ),
    (3, "a live order whose stock was released", [_reservation("live", "state = 'released'")]),
    (3, "a live order whose stock was consumed", [_reservation("live", "state = 'consumed'")]),
    (3, "a cancelled order that still holds stock", [_reservation("gone", "state = 'held'")]),
    (3, "a refunded order whose stock is consumed", [_reservation("back", "state = 'consumed'")]),
    (3, "a reservation of less than the line", [_reservation("sent", "quantity = 1")]),
    (4, "stock that vanished", [_stock("on_hand - 1")]),
    (4, "stock out of nothing", [_stock("on_hand + 1")]),
    (
        4,
        "stock returned twice",
        [_stock("on_hand + 2", "limited-print"), _moved("limited-print", 2, "release", _id("gone"))],
    ),
    (
        4,
        "stock below zero",
        [
            "ALTER TABLE shop.products DROP CONSTRAINT products_on_hand_check",
            _stock("-1"),
            _moved("pen", -100_001, "write_off"),
        ],
    ),
    (4, "goods written off that are still for sale", [_moved("pen", -5, "write_off")]),
    (5, "a cancelled order that can still be paid", [_at_provider("gone", "status = 'open', closed_at = NULL")]),
    (
        5,
        "a dispatched order that can still be paid",
        [_at_provider("sent", "status = 'open', payment_status = 'unpaid', charge = NULL, closed_at = NULL")],
    ),
    (6, "a live order whose time is up", [_order("live", f"expires_at = {_LATE}")]),
    (6, "an order that was never dispatched", [_order("sent", _FULFILLED), _untold("sent", "dispatched")]),
    (
        2,
        "late money that nobody gives back",
        [
            _order("gone", "payment_intent_id = 'pi_gone'"),
            "INSERT INTO shop.payments (payment_intent_id, order_id, amount, currency, state)"
            f" VALUES ('pi_gone', {_id('gone')}, {TOTAL}, 'usd', 'paid')",
            money("gone"),
        ],
    ),
    (6, "an event that was never taken", ["UPDATE payments.deliveries SET status = 'pending'"]),
    (7, "another session than was told", [_order("sent", "payment_session_id = 'cs_other'")]),
    (7, "another total than its lines add up to", ["UPDATE shop.order_lines SET unit_amount = 1"]),
    (7, "a line in another currency than its order", ["UPDATE shop.order_lines SET currency = 'eur'"]),
    (
        7,
        "two orders under one key",
        ["ALTER TABLE shop.orders DROP CONSTRAINT orders_checkout_key_key", _order("none", "checkout_key = 'sent'")],
    ),
    (8, "fulfilled, and then cancelled", [_order("sent", "status = 'cancelled', reason = 'timeout'")]),
    (8, "cancelled, and then fulfilled", [_order("gone", _FULFILLED)]),
    (8, "refunded, and then dispatched", [_order("back", "status = 'dispatched'")]),
    (8, "an end that its timeline does not tell", [_untold("gone", "cancelled")]),
    (9, "an order that left its end", [_told("gone", "fulfilled")]),
    (9, "an order that was refunded twice", [_told("back", "refunded")]),
    (9, "an order that was fulfilled twice", [_told("sent", "fulfilled")]),
]
"""The invariant, what is wrong, and the statements that make it so."""
WHOLE_ONLY = {
    "a refund that succeeded for the shop alone",
    "a dispute that the shop has not heard of",
    "a dispatched order that was not charged",
    "a refunded order whose money was kept",
    "another amount than agreed",
    "another currency than agreed",
}
"""Rewritten or deleted in the payment service's own tables, which tell nobody: only an audit of everything sees it."""
