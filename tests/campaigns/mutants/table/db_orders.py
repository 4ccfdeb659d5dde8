"""Bugs planted in the transactions and the reads of orders: opened once, moved forward once, stock counted once."""

from tests.campaigns.mutants.anchors import Code, Text, schema
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "one-currency-where-it-is-decided",
        Code("opening._check_payable", "len({product.currency for product in stock}) > 1", "False"),
        breaks="a cart of two currencies would be retried for ever, or sold at a sum of both",
        tests="test_the_transaction_that_locks_the_products_refuses_a_cart_of_two_currencies",
    ),
    bug(
        "a-repeat-finds-its-order",
        Code("opening.open_order", "if existing is None:\n    raise", "raise"),
        breaks="a checkout whose answer was lost would fail over a change of the catalogue, and hold its stock",
        tests="test_a_repeat_finds_its_order_though_the_catalogue_would_refuse_its_cart_today",
    ),
    bug(
        "withdrawn-is-withdrawn",
        Code("opening.open_order", "product.withdrawn", "False"),
        breaks="a product that must not be sold any more would be",
        tests="test_a_withdrawn_product_is_refused_where_it_is_locked_and_its_answer_stays",
    ),
    bug(
        "what-cannot-be-paid-is-not-reserved",
        Code("opening._check_payable", "fault is not None", "False"),
        breaks="a cart below the provider's minimum would hold stock, and its buyer be told to try again for ever",
        tests="test_a_cart_that_cannot_be_paid_is_refused_by_name_before_anything_is_reserved",
    ),
    bug(
        "expected-price",
        Code("opening.open_order", "_check_expected(stock, request.lines)", "None"),
        breaks="a customer would learn of a new price only where they pay",
        tests="test_another_price_than_was_seen_is_told_and_nothing_is_reserved",
    ),
    bug(
        "expected-currency",
        Code(
            "opening._check_expected",
            "expected[product.sku].expected_currency not in (None, product.currency)",
            "False",
        ),
        breaks="1000 of one currency would be sold as 1000 of another",
        tests="test_another_price_than_was_seen_is_told_and_nothing_is_reserved",
    ),
    bug(
        "order-on-conflict",
        Text("opening._OPEN", "ON CONFLICT (checkout_key) DO NOTHING", ""),
        breaks="a repeated key would be an error instead of the order that is there",
        tests="test_a_key_opens_one_order_however_often_and_however_many_at_once",
    ),
    bug(
        "stock-is-compared-with-the-cart",
        Code("opening.open_order", "product.available < quantities[product.sku]", "product.available < 1"),
        breaks="an order for more than there is would not be rejected",
        tests="test_one_missing_line_rejects_the_order_whole_and_names_it",
    ),
    bug(
        "what-is-gone-is-not-fulfilled",
        Code("orders.fulfil_order", "if row.unreserved: ...", "pass"),
        breaks="a paid order whose reservation is gone would be retried for ever, and never refunded",
        tests="test_a_paid_order_that_lost_a_reservation_is_not_fulfilled_and_order_and_sku_are_named",
    ),
    bug(
        "goods-come-back-once",
        Text("orders._RETURN_GOODS", "restock AND NOT restocked", "restock"),
        Code("Book.hear", "is_first_heard = was.provider_refund_id is None", "is_first_heard = True"),
        breaks="goods of a refund that is heard of twice would be on the shelf twice",
        tests="test_lines_bring_their_goods_back_once_and_never_more_than_were_bought",
    ),
    bug(
        "held-is-not-dispatched",
        Text("orders._IS_DUE", "status = 'fulfilled' AND NOT on_hold", "status = 'fulfilled'"),
        Text("_DISPATCH_DUE", "AND NOT o.on_hold", ""),
        schema("OLD.status = 'fulfilled' AND NEW.on_hold", "false"),
        breaks="goods would leave while a bank takes their money back",
        tests="test_nothing_is_refunded_on_top_of_a_dispute_and_the_order_is_held_until_it_is_won",
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
        Text(
            "orders._CLOSE", "WHERE id = :order_id AND status = ANY(CAST(:leaving AS text[]))", "WHERE id = :order_id"
        ),
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
        "names-are-the-orders",
        Text("order_queries._LINES", "l.name", "(SELECT name FROM shop.products p WHERE p.sku = l.sku) AS name"),
        breaks="a product renamed in mid-checkout would be paid under a name that nobody had ordered",
        tests="test_a_session_is_asked_for_in_the_same_words_and_at_the_same_price_every_time",
    ),
    bug(
        "prices-are-the-orders",
        Text(
            "order_queries._LINES",
            "l.unit_amount",
            "(SELECT unit_amount FROM shop.products p WHERE p.sku = l.sku) AS unit_amount",
        ),
        breaks="a price change in mid-checkout would change what is paid",
        tests="test_a_session_is_asked_for_in_the_same_words_and_at_the_same_price_every_time",
    ),
    bug(
        "emails-are-found-in-any-case",
        Code("fold_email", "email.casefold()", "email"),
        breaks="an operator would tell a customer who waits that there is no such order",
        tests="test_an_email_is_found_in_any_case",
    ),
    bug(
        "the-sweep-looks-at-all",
        Code("order_queries.MOST_UNSETTLED", "100_000", "50"),
        breaks="fifty customers who take their time would hide every orphan",
        tests="test_the_last_of_sixty_orders_is_looked_at_too",
    ),
    bug(
        "a-full-disk-is-seen",
        Text("writing._TRY", "PERFORM count(*) FROM generate_series(1, 8000);", ""),
        breaks="with its disk full, a shop would call itself ready",
        tests="test_with_the_disk_full_nobody_can_buy_and_nothing_is_held_and_afterwards_all_goes_on",
    ),
    bug(
        "a-failed-write-counts",
        Code("WriteWatch.look", "time.monotonic() - self._failed_at >= self._remembered", "True"),
        breaks="room for a temporary file would be taken for room in the tables",
        tests="test_a_write_that_failed_for_want_of_room_counts_for_a_while",
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
)
