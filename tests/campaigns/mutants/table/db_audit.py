"""Bugs planted in the audit: what it looks at, and what it must not overlook."""

from tests.campaigns.mutants.anchors import Code, Text, Words, schema
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "what-is-wrong-stays-due",
        Code("db.audit.note", "order_id not in bad", "True"),
        schema("INSERT INTO shop.audit_due (order_id) SELECT DISTINCT unnest(wrong) ON CONFLICT DO NOTHING;", ""),
        breaks="a violation would be told once, and then no more",
        tests="test_a_violation_planted_in_an_audited_order_is_found_by_the_next_audit_and_by_every_one_after_it",
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
        "the-audit-knows-what-was-written-off",
        Text("invariants._MOVEMENTS", "WHERE order_id IS NULL", "WHERE order_id IS NULL AND delta > 0"),
        Text("invariants._SUMS", "WHERE order_id IS NULL", "WHERE order_id IS NULL AND delta > 0"),
        breaks="each write-off would be an alarm, for ever",
        tests="test_what_is_written_off_leaves_the_stock_with_its_reason_and_the_audit_knows",
    ),
    bug(
        "no-crowd-hides-an-order",
        Code("db.invariants._read", "'' if of_orders else f' LIMIT {MAX_VIOLATIONS}'", "f' LIMIT {MAX_VIOLATIONS}'"),
        breaks="of many wrong orders some would count as in order",
        tests="test_of_more_violations_than_are_told_every_order_stays_due",
    ),
    bug(
        "the-audit-names-the-order",
        Words("db/invariants.sql", "ELSE 'released' END", "ELSE r.state END"),
        breaks="of a reservation that is gone the audit would name the SKU only, for ever",
        tests="test_the_audit_names_the_order_that_lacks_a_reservation_also_after_its_end",
    ),
    bug(
        "orders-show-the-name-they-were-sold-under",
        Text("order_pages._DETAIL", "l.name", "(SELECT name FROM shop.products p WHERE p.sku = l.sku)"),
        breaks="an order would show a name that it was not sold under",
        tests="test_an_order_keeps_the_name_it_was_sold_under",
    ),
)
