"""Bugs planted in the money of an order: its ledger, its refunds, what follows from them."""

from tests.campaigns.mutants.anchors import Code, Text
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "accepted-is-not-given-back",
        Code("Book.succeeded", "one.state is RefundState.SUCCEEDED", "not one.state.is_undone"),
        breaks="an order would end as refunded, and the money never arrive",
        tests="test_all_that_is_left_ends_the_order_and_what_the_customer_kept_stays_kept",
    ),
    bug(
        "facts-come-first",
        Code("Book._make_room", "wanted and self.refunded + word.amount > self.amount", "False"),
        breaks="a refund of the dashboard could not be entered beside a wish of ours, and all would stand still",
        tests="test_what_was_given_back_in_the_dashboard_is_a_fact_and_what_no_longer_fits_ends",
    ),
    bug(
        "debts-are-written-down",
        Code("ledger.owe", "await plan_next_look(book)", "pass"),
        breaks="with its workflow lost, late money would be kept for ever",
        tests="test_money_that_is_owed_for_an_ended_order_is_given_back_though_its_settlement_is_lost",
    ),
    bug(
        "old-answers-are-dropped",
        Code("ledger.record", "book.version != version", "False"),
        breaks="an old answer would be written over a newer one",
        tests="test_an_answer_older_than_what_is_written_is_not_written_over_it",
    ),
    bug(
        "what-is-at-rest-is-checked",
        Text("ledger._DUE", "check_at <= now()", "false"),
        breaks="a refund of the dashboard whose events are all lost would never be known",
        tests="test_a_refund_of_the_dashboard_of_which_no_event_came_is_found_at_the_payments_next_check",
    ),
    bug(
        "what-is-at-rest-waits",
        Text("ledger._DUE", "ORDER BY d.is_check, d.at", "ORDER BY d.at"),
        breaks="a day of many checks would put off what is owed",
        tests="test_what_stands_open_is_looked_at_before_what_is_at_rest_and_of_that_only_some",
    ),
    bug(
        "no-more-than-is-left",
        Code("refunds._amount", "amount > book.left", "False"),
        breaks="an operator who asks for too much would be answered that something broke",
        tests="test_of_many_refunds_at_once_no_more_is_entered_than_was_paid",
    ),
    bug(
        "a-key-is-one-refund",
        Code("refunds._check_same_wish", "wanted.key != WHOLE_REFUND and request != _digest(wanted)", "False"),
        breaks="a key used again by mistake would be answered with another refund",
        tests="test_a_key_stands_for_one_refund",
    ),
    bug(
        "nothing-on-top-of-a-dispute",
        Code("_check_refundable", "book.is_disputed", "False"),
        breaks="money could go twice, to the bank and to the customer",
        tests="test_nothing_is_refunded_on_top_of_a_dispute_and_the_order_is_held_until_it_is_won",
    ),
    bug(
        "refund-at-the-provider-is-the-providers-word",
        Code("consequences.finish_order", "book.succeeded == book.amount", "True"),
        breaks="a redelivered event would end a fulfilled order as refunded, its money kept",
        tests="test_a_redelivery_for_a_fulfilled_order_changes_nothing",
    ),
    bug(
        "what-failed-is-owed-again",
        Code(
            "consequences._to_be_made_again",
            "head.state.is_undone and head.provider_refund_id is not None",
            "False",
        ),
        Code("consequences.owe_again", "not is_waiting and book.left > 0 and not book.may_keep", "False"),
        breaks="a refund that fails days later would be kept for ever",
        tests="test_a_refund_that_succeeds_and_then_fails_is_owed_again_under_another_name",
    ),
    bug(
        "lost-is-not-given-back",
        Code("consequences.drop_what_was_lost", "wanted and book.left < 0", "False"),
        breaks="what a bank has taken for good would be asked for until the end of time",
        tests="test_money_that_a_bank_has_taken_for_good_is_not_given_back_as_well",
    ),
    bug(
        "what-stands-open-is-looked-at",
        Code("consequences.plan_next_look", "one.state is RefundState.PENDING", "False"),
        breaks="a refund whose events are lost would be on its way for ever",
        tests="test_a_refund_whose_events_are_lost_is_found_out_by_the_sweep",
    ),
    bug(
        "refund-closes-once",
        Code("consequences.finish_order", "order.status is not OrderStatus.REFUNDED", "True"),
        Code("consequences.finish_order", "one not in (OrderStatus.PENDING, OrderStatus.REFUNDED)", "True"),
        breaks="a refund told twice would end the order twice",
        tests="test_an_order_ends_once_however_often_its_refund_is_told",
    ),
)
