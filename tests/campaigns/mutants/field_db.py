"""Bugs planted where the data is decided: what was agreed, what may be stored, what may never vanish."""

from tests.campaigns.mutants.anchors import Code, Text, Words, schema
from tests.campaigns.mutants.mutant import bug

_SAME_REQUEST = "test_a_session_is_asked_for_in_the_same_words_and_at_the_same_price_every_time"

FIELD_DB = (
    bug(
        "one-currency-where-it-is-decided",
        Code("opening._check_payable", "len({product.currency for product in stock}) > 1", "False"),
        breaks="a cart of two currencies would be retried for ever, or sold at a sum of both",
        tests="test_the_transaction_that_locks_the_products_refuses_a_cart_of_two_currencies",
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
        "a-repeat-finds-its-order",
        Code("opening.open_order", "if existing is None:\n    raise", "raise"),
        breaks="a checkout whose answer was lost would fail over a change of the catalogue, and hold its stock",
        tests="test_a_repeat_finds_its_order_though_the_catalogue_would_refuse_its_cart_today",
    ),
    bug(
        "a-refusal-reaches-the-buyer",
        Code("CartCheck.after", "refusal.type not in _WRONG_CARTS", "True"),
        breaks="whoever has a cart that only the database can refuse would be told to wait, for ever",
        tests="test_a_buyer_is_told_of_a_currency_that_changed_after_the_gateway_had_seen_the_product",
    ),
    bug(
        "names-are-the-orders",
        Text("order_queries._LINES", "l.name", "(SELECT name FROM shop.products p WHERE p.sku = l.sku) AS name"),
        breaks="a product renamed in mid-checkout would be paid under a name that nobody had ordered",
        tests=_SAME_REQUEST,
    ),
    bug(
        "prices-are-the-orders",
        Text(
            "order_queries._LINES",
            "l.unit_amount",
            "(SELECT unit_amount FROM shop.products p WHERE p.sku = l.sku) AS unit_amount",
        ),
        breaks="a price change in mid-checkout would change what is paid",
        tests=_SAME_REQUEST,
    ),
    bug(
        "orders-show-the-name-they-were-sold-under",
        Text("views._DETAIL", "l.name", "(SELECT name FROM shop.products p WHERE p.sku = l.sku)"),
        breaks="an order would show a name that it was not sold under",
        tests="test_an_order_keeps_the_name_it_was_sold_under",
    ),
    bug(
        "data-that-cannot-be-stored-is-final",
        Code("db.engine.transaction", "not state.startswith(_DATA_EXCEPTION)", "True"),
        breaks="a checkout with a name that cannot be stored would be retried for ever",
        tests="test_text_that_is_none_is_a_final_error_which_does_not_repeat_it",
    ),
    bug(
        "every-text-fits",
        Code("refuse_other_encodings", 'encoding != "UTF8"', "False"),
        breaks="a shop would be set up that turns half the world's names away",
        tests="test_set_up_refuses_a_database_that_cannot_hold_every_text",
    ),
    bug(
        "what-is-gone-is-not-fulfilled",
        Code("orders.fulfil_order", "if row.unreserved: ...", "pass"),
        breaks="a paid order whose reservation is gone would be retried for ever, and never refunded",
        tests="test_a_paid_order_that_lost_a_reservation_is_not_fulfilled_and_order_and_sku_are_named",
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
        "the-audit-names-the-order",
        Words("db/invariants.sql", "ELSE 'released' END", "ELSE r.state END"),
        breaks="of a reservation that is gone the audit would name the SKU only, for ever",
        tests="test_the_audit_names_the_order_that_lacks_a_reservation_also_after_its_end",
    ),
    bug(
        "written-off-is-what-is-there",
        schema("WHERE sku = the_sku AND on_hand >= removed", "WHERE sku = the_sku"),
        breaks="whoever writes too much off would be told that PostgreSQL is away",
        tests="test_what_orders_hold_is_not_written_off",
    ),
    bug(
        "the-audit-knows-what-was-written-off",
        Text("invariants._MOVEMENTS", "WHERE order_id IS NULL", "WHERE order_id IS NULL AND delta > 0"),
        Text("invariants._SUMS", "WHERE order_id IS NULL", "WHERE order_id IS NULL AND delta > 0"),
        breaks="each write-off would be an alarm, for ever",
        tests="test_what_is_written_off_leaves_the_stock_with_its_reason_and_the_audit_knows",
    ),
    bug(
        "withdrawn-is-withdrawn",
        Code("opening.open_order", "product.withdrawn", "False"),
        breaks="a product that must not be sold any more would be",
        tests="test_a_withdrawn_product_is_refused_where_it_is_locked_and_its_answer_stays",
    ),
    bug(
        "emails-are-found-in-any-case",
        Code("fold_email", "email.casefold()", "email"),
        breaks="an operator would tell a customer who waits that there is no such order",
        tests="test_an_email_is_found_in_any_case",
    ),
    bug(
        "totals-add-up",
        schema("IF (SELECT amount_total FROM shop.orders", "IF FALSE AND (SELECT amount_total FROM shop.orders"),
        breaks="an order could be paid at another sum than its lines have",
        tests="test_a_total_is_what_the_lines_add_up_to_whatever_the_code_does",
    ),
)
