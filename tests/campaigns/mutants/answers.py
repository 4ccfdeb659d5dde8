"""Bugs planted in what the service says when something is wrong."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import Mutant, bug

ANSWERS: tuple[Mutant, ...] = (
    bug(
        "every-answer-says-its-key",
        Code("Edge.around", "headers.update(echoed(asked))", ""),
        breaks="a customer whose answer is lost could not go on with the order, and would make another",
        tests="test_every_answer_says_the_key_it_was_asked_with",
    ),
    bug(
        "errors-do-not-quote",
        Code("create_engine", "hide_parameters=True", "hide_parameters=False"),
        breaks="the email of whoever buys while PostgreSQL restarts would be in the worker's log",
        tests="test_what_a_statement_was_asked_with_is_in_no_error",
    ),
    bug(
        "audits-are-patient",
        Code("Gateway.__init__", "AUDIT_SECONDS + 5", "3.0"),
        breaks="in a large shop there would be no audit, ever",
        tests="test_an_audit_takes_the_time_it_needs",
    ),
    bug(
        "set-ups-are-patient",
        Code("db.__main__._run", "command_timeout=None", ""),
        breaks="a migration of over three seconds could never be made",
        tests="test_a_set_up_waits_for_another_one",
    ),
    bug(
        "coming-back-is-limited",
        Code("shop.pages._back", "gateway.limits.take(gateway.limits.client_of(request))", "pass"),
        breaks="anybody could fill a checkout with signals until Temporal takes none",
        tests="test_who_comes_back_again_and_again_does_not_wake_the_checkout_each_time",
    ),
    bug(
        "a-deadline-the-provider-keeps",
        Code("Settings.payment_timeout", "79_200", "86_400"),
        breaks="a customer would be told of ten minutes that the payment page does not give",
        tests="test_no_deadline_is_promised_that_the_provider_does_not_keep",
    ),
    bug(
        "another-cart-is-refused-at-once",
        Code("Checkouts.buy", "await self._check_begun(handle, wish)", ""),
        breaks="while no worker runs, whoever reuses a key for another cart would be told that it has begun",
        tests="test_another_cart_under_a_key_is_refused_also_before_any_worker_has_looked",
    ),
    bug(
        "debts-are-told",
        Code("order_views._payment", "kept > 0 and not status.is_kept", "False"),
        breaks="a customer whose money came late would read that nothing was charged",
        tests="test_money_that_is_owed_is_told_to_customer_and_operator",
    ),
    bug(
        "bugs-are-counted",
        Code("LastWords.around", "response = await answer(...)", "raise"),
        breaks="the alert on 5xx would be silent while everything fails",
        tests="test_a_bug_is_counted_like_every_answer",
    ),
    bug(
        "followers-begin-anew",
        Code("_have_all_look", "self._tell_followers(None)", ""),
        breaks="after PostgreSQL was away, an operator's stream would go on with a gap in it that nobody sees",
        tests="test_who_follows_hears_of_each_order_and_begins_anew_after_a_gap",
    ),
    bug(
        "a-repeat-is-asked-by-its-key",
        Code("stripe_route", "key is not None", "False"),
        breaks="the simulator would refuse a repeat that Stripe answers, and hide what the shop does with it",
        tests="test_a_repeat_gets_its_answer_though_the_time_it_asked_for_has_come_near",
    ),
)
