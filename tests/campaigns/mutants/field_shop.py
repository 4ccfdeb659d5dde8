"""Bugs planted where customers look and where the shop grows: catalogue, storefront, console, audit."""

from tests.campaigns.mutants.anchors import Code, schema
from tests.campaigns.mutants.mutant import bug

FIELD_SHOP = (
    bug(
        "form-fields-bounded",
        Code(
            "carts.parse_form",
            "parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(body), errors='strict')",
            "parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(body), errors='strict',"
            " max_num_fields=200)",
        ),
        breaks="nobody without script could buy from a long form",
        tests="test_a_form_may_have_any_number_of_fields_that_its_bytes_allow",
    ),
    bug(
        "lookers-apart-from-buyers",
        Code("Gateway.__init__", "autocommit(browsing)", "autocommit(engine)"),
        breaks="customers would wait behind all who only look",
        tests="test_who_looks_never_keeps_a_customer_waiting",
    ),
    bug(
        "one-read-for-all-who-ask",
        Code("Shared.__call__", "key not in self._next", "True"),
        breaks="every tab would read the catalogue for itself",
        tests="test_many_who_ask_at_once_share_a_read_that_began_after_they_asked",
    ),
    bug(
        "picture-guard",
        schema("IF NEW.image !~ '^(/[^/]|https", "IF FALSE AND NEW.image !~ '^(/[^/]|https"),
        breaks="a product could have a picture that every page would silently not show",
        tests="test_a_picture_that_no_page_could_show_is_refused_when_the_product_is_made",
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
        "what-is-wrong-stays-due",
        Code("db.audit.note", "order_id not in bad", "True"),
        schema("INSERT INTO shop.audit_due (order_id) SELECT DISTINCT unnest(wrong) ON CONFLICT DO NOTHING;", ""),
        breaks="a violation would be told once, and then no more",
        tests="test_a_violation_planted_in_an_audited_order_is_found_by_the_next_audit_and_by_every_one_after_it",
    ),
    bug(
        "no-crowd-hides-an-order",
        Code("db.invariants._read", "'' if of_orders else f' LIMIT {MAX_VIOLATIONS}'", "f' LIMIT {MAX_VIOLATIONS}'"),
        breaks="of many wrong orders some would count as in order",
        tests="test_of_more_violations_than_are_told_every_order_stays_due",
    ),
    bug(
        "young-money-is-read-again",
        Code("db.audit.agenda", "state.now - _LEDGER_OVERLAP - grace", "state.now"),
        breaks="money that came a moment ago would never be judged",
        tests="test_money_too_young_to_be_judged_is_judged_when_it_is_older",
    ),
    bug(
        "the-patrol-walks-on",
        Code("db.audit.agenda", "old[-1] if len(old) == patrol > 0 else ''", "''"),
        breaks="what was done behind the triggers' back would never be seen",
        tests="test_the_patrol_comes_by_where_nothing_was_noted",
    ),
    bug(
        "one-audit-of-everything",
        Code(
            "audit.the_whole",
            "await connection.scalar(text(f'SELECT pg_try_advisory_xact_lock({_THE_WHOLE})'))",
            "True",
        ),
        breaks="anybody with the token could load the database with audits",
        tests="test_everything_is_audited_once_at_a_time_whoever_asks_and_tells_how_far_it_is",
    ),
    bug(
        "sums-follow-movements",
        schema("SET moved = s.moved + excluded.moved, brought", "SET brought"),
        breaks="the stock that is left would be compared with a sum that nobody keeps",
        tests="test_the_sums_that_are_kept_are_those_of_the_movements_and_an_audit_of_everything_proves_it",
    ),
)
