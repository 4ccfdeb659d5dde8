"""Bugs planted in the schema: what no statement can do, whoever writes it."""

from tests.campaigns.mutants.anchors import Text, schema
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "noted-by-whoever-touches",
        schema("ON CONFLICT (order_id) DO UPDATE SET changes = audit_due.changes + 1", "ON CONFLICT DO NOTHING"),
        breaks="an order that changes while it is audited would count as audited",
        tests="test_an_order_that_changes_while_it_is_audited_is_due_again",
    ),
    bug(
        "audited-only-if-unchanged",
        schema("c(order_id, changes) USING (order_id, changes)", "c(order_id, changes) USING (order_id)"),
        breaks="an order that changes while it is audited would count as audited",
        tests="test_an_order_that_changes_while_it_is_audited_is_due_again",
    ),
    bug(
        "sums-follow-movements",
        schema("SET moved = s.moved + excluded.moved, brought", "SET brought"),
        breaks="the stock that is left would be compared with a sum that nobody keeps",
        tests="test_the_sums_that_are_kept_are_those_of_the_movements_and_an_audit_of_everything_proves_it",
    ),
    bug(
        "nothing-is-deleted",
        schema(
            "RAISE EXCEPTION 'shop.%: % is refused, what happened stays', TG_TABLE_NAME, TG_OP"
            " USING ERRCODE = 'check_violation'",
            "RETURN NULL",
        ),
        breaks="a hand at the database could make reservations and lines vanish, or rewrite them, without a trace",
        tests=(
            "test_nothing_is_deleted_not_even_by_the_schemas_owner",
            "test_lines_movements_and_timeline_are_written_once",
        ),
    ),
    bug(
        "totals-add-up",
        schema("IF (SELECT amount_total FROM shop.orders", "IF FALSE AND (SELECT amount_total FROM shop.orders"),
        breaks="an order could be paid at another sum than its lines have",
        tests="test_a_total_is_what_the_lines_add_up_to_whatever_the_code_does",
    ),
    bug(
        "picture-guard",
        schema("IF NEW.image !~ '^(/[^/]|https", "IF FALSE AND NEW.image !~ '^(/[^/]|https"),
        breaks="a product could have a picture that every page would silently not show",
        tests="test_a_picture_that_no_page_could_show_is_refused_when_the_product_is_made",
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
        "reservations-agree",
        schema(
            "IF (wanted IS NOT NULL AND agreeing <> lines) OR (wanted IS NULL AND active <> 0) OR lines = 0 THEN",
            "IF FALSE THEN",
        ),
        breaks="an order could end and keep its reservation, or be fulfilled without one",
        tests="test_the_database_refuses_what_must_never_be",
    ),
    bug(
        "written-off-is-what-is-there",
        schema("WHERE sku = the_sku AND on_hand >= removed", "WHERE sku = the_sku"),
        breaks="whoever writes too much off would be told that PostgreSQL is away",
        tests="test_what_orders_hold_is_not_written_off",
    ),
    bug(
        "restock-adds",
        schema(
            "UPDATE shop.products SET on_hand = on_hand + added WHERE", "UPDATE shop.products SET on_hand = added WHERE"
        ),
        breaks="a restock in mid-checkout would overwrite what was sold",
        tests="test_a_restock_in_mid_checkout_adds_to_what_is_left",
    ),
    bug(
        "one-currency-says-the-table",
        schema(
            "FOREIGN KEY (order_id, currency) REFERENCES shop.orders (id, currency)",
            "FOREIGN KEY (order_id) REFERENCES shop.orders (id)",
        ),
        breaks="an order could have a line in another currency",
        tests="test_no_line_is_in_another_currency_than_its_order_whatever_the_code_does",
    ),
    bug(
        "order-key-unique",
        schema('checkout_key text COLLATE "C" NOT NULL UNIQUE CHECK', 'checkout_key text COLLATE "C" NOT NULL CHECK'),
        Text("opening._OPEN", "ON CONFLICT (checkout_key) DO NOTHING", ""),
        breaks="every repeat would open and reserve another order",
        tests="test_a_key_opens_one_order_however_often_and_however_many_at_once",
    ),
    bug(
        "stock-below-zero",
        schema("on_hand bigint NOT NULL CHECK (on_hand >= 0)", "on_hand bigint NOT NULL"),
        breaks="stock could be sold that is not there",
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
        "refunds-within-the-payment",
        schema("refunded + NEW.amount > paid.amount", "false"),
        breaks="two hands at once could give back more than was paid",
        tests="test_the_table_itself_refuses_what_was_not_paid_whoever_writes",
    ),
    bug(
        "a-refund-takes-its-payment",
        schema(
            "UPDATE shop.payments SET version = version + 1 WHERE payment_intent_id = NEW.payment_intent_id\n"
            "        RETURNING * INTO paid;",
            "SELECT * INTO paid FROM shop.payments WHERE payment_intent_id = NEW.payment_intent_id;",
        ),
        breaks="two writers who began together would both fit",
        tests="test_the_table_itself_refuses_what_was_not_paid_whoever_writes",
    ),
    bug(
        "what-an-old-worker-owes-is-looked-at",
        schema("UPDATE shop.payments p SET look_at = clock_timestamp()", "UPDATE shop.payments p SET look_at = NULL"),
        breaks="while a version is rolled out, money that comes late would be kept by who knows no ledger",
        tests="test_what_a_worker_of_the_first_release_still_writes_is_in_the_ledger_or_soon_found_out",
    ),
    bug(
        "debts-of-before-are-owed",
        schema("status IN ('refunded', 'cancelled');", "status = 'refunded';"),
        breaks="what the first release owed would be forgotten the day its data is migrated",
        tests="test_orders_of_the_first_release_have_their_ledger_and_their_debts_are_given_back",
    ),
)
