"""Bugs planted below the workflows: the schema, the guarded transitions, the stock."""

from tests.campaigns.mutants.anchors import Code, Text, schema
from tests.campaigns.mutants.mutant import bug

ORDERS = (
    bug(
        "order-key-unique",
        schema('checkout_key text COLLATE "C" NOT NULL UNIQUE CHECK', 'checkout_key text COLLATE "C" NOT NULL CHECK'),
        Text("opening._OPEN", "ON CONFLICT (checkout_key) DO NOTHING", ""),
        breaks="every repeat would open and reserve another order",
        tests="test_a_key_opens_one_order_however_often_and_however_many_at_once",
    ),
    bug(
        "order-on-conflict",
        Text("opening._OPEN", "ON CONFLICT (checkout_key) DO NOTHING", ""),
        breaks="a repeated key would be an error instead of the order that is there",
        tests="test_a_key_opens_one_order_however_often_and_however_many_at_once",
    ),
    bug(
        "tombstone-guard",
        schema("IF OLD.state = 'released' OR (OLD.state", "IF (OLD.state"),
        breaks="a released reservation could be held again by a zombie",
        tests="test_a_released_reservation_can_never_be_held_again",
    ),
    bug(
        "order-moves-forward",
        schema("IF NEW.status <> OLD.status AND (OLD.status", "IF FALSE AND (OLD.status"),
        breaks="an order could jump to any state",
        tests="test_an_end_is_an_end_whatever_a_statement_says",
    ),
    bug(
        "agreed-terms-frozen",
        schema(
            "IF (NEW.id, NEW.checkout_key, NEW.fingerprint, NEW.amount_total, NEW.currency, NEW.expires_at)",
            "IF FALSE AND (NEW.id, NEW.checkout_key, NEW.fingerprint, NEW.amount_total, NEW.currency, NEW.expires_at)",
        ),
        breaks="the total of an agreed order could change",
        tests="test_the_database_refuses_what_must_never_be",
    ),
    bug(
        "stock-below-zero",
        schema("on_hand bigint NOT NULL CHECK (on_hand >= 0)", "on_hand bigint NOT NULL"),
        breaks="stock could be sold that is not there",
        tests="test_the_database_refuses_what_must_never_be",
    ),
    bug(
        "reservations-agree",
        schema(
            "IF (wanted IS NOT NULL AND agreeing <> lines) OR (wanted IS NULL AND active <> 0) OR lines = 0 THEN",
            "IF FALSE THEN",
        ),
        breaks="an order could end and keep its reservation, or be fulfilled without one",
        tests="test_the_database_refuses_what_must_never_be",
    ),
    bug(
        "reservation-of-its-line",
        schema(
            "FOREIGN KEY (order_id, sku, quantity) REFERENCES shop.order_lines (order_id, sku, quantity)",
            "FOREIGN KEY (order_id, sku) REFERENCES shop.order_lines (order_id, sku)",
        ),
        breaks="a reservation could be of another quantity than its line",
        tests="test_the_database_refuses_what_must_never_be",
    ),
    bug(
        "record-session-guard",
        Text("_RECORD_SESSION", "WHERE id = :order_id AND status = 'pending'", "WHERE id = :order_id"),
        breaks="a late session would be recorded for an order that has ended",
        tests="test_a_session_recorded_for_an_order_that_has_ended_changes_nothing",
    ),
    bug(
        "fulfil-guard",
        Text(
            "orders._FULFIL",
            "WHERE id = :order_id AND status IN ('awaiting_payment', 'payment_processing')",
            "WHERE id = :order_id",
        ),
        breaks="fulfilling twice would happen twice",
        tests=(
            "test_fulfilling_twice_consumes_once",
            "test_an_order_that_was_cancelled_is_not_fulfilled",
        ),
    ),
    bug(
        "close-guard",
        Text("orders._CLOSE", "WHERE id = :order_id AND status = ANY(CAST(:closes AS text[]))", "WHERE id = :order_id"),
        breaks="a fulfilled order could be cancelled behind its customer",
        tests=(
            "test_of_fulfilling_and_releasing_at_once_exactly_one_happens",
            "test_releasing_twice_returns_the_stock_once",
        ),
    ),
    bug(
        "dispatch-guard",
        Text("orders._IS_DUE", "status = 'fulfilled' AND NOT on_hold", "NOT on_hold"),
        Text("_DISPATCH_DUE", "o.id = due.id AND o.status = 'fulfilled' AND", "o.id = due.id AND"),
        breaks="a refunded order would be dispatched",
        tests="test_a_refunded_order_is_not_dispatched_and_a_dispatched_one_only_once",
    ),
    bug(
        "dispatch-waits-for-nobody",
        Text("_DISPATCH_DUE", "FOR NO KEY UPDATE SKIP LOCKED", "FOR NO KEY UPDATE"),
        breaks="one order that is being refunded would keep all others in the warehouse",
        tests="test_an_order_that_is_being_refunded_keeps_no_other_from_leaving",
    ),
    bug(
        "dispatch-not-before-its-time",
        Text(
            "orders._IS_DUE",
            "dispatch_due_at <= clock_timestamp() - CAST(:overdue AS interval)",
            "CAST(:overdue AS interval) IS NOT NULL",
        ),
        breaks="orders would leave before they are due",
        tests="test_several_workers_dispatch_everything_that_is_due_once_and_nothing_before_its_time",
    ),
    bug(
        "stock-comes-back",
        Text(
            "orders._CLOSE",
            "SET on_hand = p.on_hand + left_over.quantity",
            "SET on_hand = p.on_hand",
        ),
        breaks="what a cancelled order held would be lost",
        tests="test_releasing_twice_returns_the_stock_once",
    ),
    bug(
        "refund-closes-once",
        Code("consequences.finish_order", "order.status is not OrderStatus.REFUNDED", "True"),
        Code("consequences.finish_order", "one not in (OrderStatus.PENDING, OrderStatus.REFUNDED)", "True"),
        breaks="a refund told twice would end the order twice",
        tests="test_a_refund_told_again_returns_the_stock_of_a_fulfilled_order_once",
    ),
    bug(
        "rows-locked-before-the-look",
        Text(
            "catalogue._LOCK",
            "WHERE sku = ANY(CAST(:skus AS text[])) ORDER BY sku FOR NO KEY UPDATE",
            "WHERE sku = ANY(CAST(:skus AS text[])) ORDER BY sku",
        ),
        breaks="buyers of the last unit would fail instead of hearing that it is gone",
        tests="test_more_buyers_than_units_sell_exactly_the_units",
    ),
    bug(
        "lock-order-of-a-cart",
        Text(
            "catalogue._LOCK",
            "WHERE sku = ANY(CAST(:skus AS text[])) ORDER BY sku FOR NO KEY UPDATE",
            "WHERE sku = ANY(CAST(:skus AS text[])) ORDER BY sku DESC FOR NO KEY UPDATE",
        ),
        breaks="two carts could lock each other out",
        tests="test_carts_in_opposite_order_wait_for_each_other_in_one_order",
    ),
    bug(
        "lock-order-of-a-release",
        Text(
            "_LOCK_OF_ORDER",
            "WHERE order_id = :order_id) ORDER BY sku FOR NO KEY UPDATE",
            "WHERE order_id = :order_id) ORDER BY sku DESC FOR NO KEY UPDATE",
        ),
        breaks="a release and a cart could lock each other out",
        tests="test_carts_in_opposite_order_wait_for_each_other_in_one_order",
    ),
    bug(
        "stock-is-compared-with-the-cart",
        Code("opening.open_order", "product.available < quantities[product.sku]", "product.available < 1"),
        breaks="an order for more than there is would not be rejected",
        tests="test_one_missing_line_rejects_the_order_whole_and_names_it",
    ),
    bug(
        "restock-adds",
        schema(
            "UPDATE shop.products SET on_hand = on_hand + added WHERE", "UPDATE shop.products SET on_hand = added WHERE"
        ),
        breaks="a restock in mid-checkout would overwrite what was sold",
        tests="test_a_restock_in_mid_checkout_adds_to_what_is_left",
    ),
)
