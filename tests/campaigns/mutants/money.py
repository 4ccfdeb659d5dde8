"""Bugs planted in the money after the sale: its ledger, what is owed, what is held."""

from tests.campaigns.mutants.anchors import Code, Text, schema
from tests.campaigns.mutants.mutant import bug

MONEY = (
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
        "no-more-than-is-left",
        Code("refunds._amount", "amount > book.left", "False"),
        breaks="an operator who asks for too much would be answered that something broke",
        tests="test_of_many_refunds_at_once_no_more_is_entered_than_was_paid",
    ),
    bug(
        "given-up-and-taken-all-the-same",
        Code("Refund.may_become", "self.was_never_taken", "False"),
        breaks="money that went back would be the shop's in its ledger, and could be given back again",
        tests="test_a_refund_that_was_given_up_and_had_been_taken_all_the_same_counts",
    ),
    bug(
        "a-key-is-one-refund",
        Code("refunds._check_same_wish", "wanted.key != WHOLE_REFUND and request != _digest(wanted)", "False"),
        breaks="a key used again by mistake would be answered with another refund",
        tests="test_a_key_stands_for_one_refund",
    ),
    bug(
        "goods-come-back-once",
        Text("orders._RETURN_GOODS", "restock AND NOT restocked", "restock"),
        Code("Book.hear", "is_taken = was.provider_refund_id is None", "is_taken = True"),
        breaks="goods of a refund that is heard of twice would be on the shelf twice",
        tests="test_lines_bring_their_goods_back_once_and_never_more_than_were_bought",
    ),
    bug(
        "accepted-is-not-given-back",
        Code("Book.succeeded", "one.state is RefundState.SUCCEEDED", "not one.state.is_undone"),
        breaks="an order would end as refunded, and the money never arrive",
        tests="test_all_that_is_left_ends_the_order_and_what_the_customer_kept_stays_kept",
    ),
    bug(
        "what-failed-is-owed-again",
        Code(
            "consequences._to_be_made_again",
            "head.state.is_undone and head.provider_refund_id is not None",
            "False",
        ),
        Code("consequences.ask_again", "not is_waiting and book.left > 0 and not book.may_keep", "False"),
        breaks="a refund that fails days later would be kept for ever",
        tests="test_a_refund_that_succeeds_and_then_fails_is_owed_again_under_another_name",
    ),
    bug(
        "old-answers-are-dropped",
        Code("ledger.record", "book.version != version", "False"),
        breaks="an old answer would be written over a newer one",
        tests="test_an_answer_older_than_what_is_written_is_not_written_over_it",
    ),
    bug(
        "facts-come-first",
        Code("Book._make_room", "wanted and self.refunded + word.amount > self.amount", "False"),
        breaks="a refund of the dashboard could not be entered beside a wish of ours, and all would stand still",
        tests="test_what_was_given_back_in_the_dashboard_is_a_fact_and_what_no_longer_fits_ends",
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
        "nothing-on-top-of-a-dispute",
        Code("_check_refundable", "book.is_disputed", "False"),
        breaks="money could go twice, to the bank and to the customer",
        tests="test_nothing_is_refunded_on_top_of_a_dispute_and_the_order_is_held_until_it_is_won",
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
        "nobody-gives-up-what-a-bank-pays",
        Code("_under_way", "closing not in (None, Reason.TIMEOUT)", "False"),
        breaks="a customer who gives up would have the stock sold again, and pay for it all the same",
        tests=("test_nobody_can_give_up_what_a_bank_is_paying", "test_what_follows_from_the_providers_word"),
    ),
    bug(
        "a-wish-to-give-up-is-over",
        Code("Inbox.carry_on", "self.closing = None", "pass"),
        breaks="a checkout whose payment takes days would ask the provider without a pause",
        tests="test_nobody_can_give_up_what_a_bank_is_paying",
    ),
    bug(
        "other-mode-is-not-ours",
        Code("webhooks.parse", "event.get('livemode') is (not is_live)", "False"),
        breaks="events of the test account could move live orders",
        tests="test_an_event_of_the_other_mode_is_let_go_with_a_line",
    ),
    bug(
        "debts-of-before-are-owed",
        schema("status IN ('refunded', 'cancelled');", "status = 'refunded';"),
        breaks="what the first release owed would be forgotten the day its data is migrated",
        tests="test_orders_of_the_first_release_have_their_ledger_and_their_debts_are_given_back",
    ),
    bug(
        "what-an-old-worker-owes-is-looked-at",
        schema("UPDATE shop.payments p SET look_at = clock_timestamp()", "UPDATE shop.payments p SET look_at = NULL"),
        breaks="while a version is rolled out, money that comes late would be kept by who knows no ledger",
        tests="test_what_a_worker_of_the_first_release_still_writes_is_in_the_ledger_or_soon_found_out",
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
)
