"""Bugs planted in what the service says when something is wrong."""

from tests.campaigns.mutants.mutant import Mutant, mutant

_ANSWERS = "tests/integration/test_answer_guards.py"
_PROCESSES = "tests/integration/test_process_guards.py"
_TELL_FOLLOWERS = """\
            for queue in self._followers:
                _push(queue, None)
            while"""

ANSWERS: tuple[Mutant, ...] = (
    mutant(
        "every-answer-says-its-key",
        "api/problems.py",
        "    problem.headers |= _echoed(request)\n",
        "",
        breaks="a customer whose answer is lost could not go on with the order, and would make another",
        tests=f"{_ANSWERS}::test_every_answer_says_the_key_it_was_asked_with",
    ),
    mutant(
        "errors-do-not-quote",
        "db/engine.py",
        "        hide_parameters=True,",
        "        hide_parameters=False,",
        breaks="the email of whoever buys while PostgreSQL restarts would be in the worker's log",
        tests=f"{_PROCESSES}::test_what_a_statement_was_asked_with_is_in_no_error",
    ),
    mutant(
        "audits-are-patient",
        "api/app.py",
        "command_timeout=AUDIT_SECONDS + 5,",
        "command_timeout=3.0,",
        breaks="in a large shop there would be no audit, ever",
        tests=f"{_ANSWERS}::test_an_audit_takes_the_time_it_needs",
    ),
    mutant(
        "set-ups-are-patient",
        "db/__main__.py",
        "        command_timeout=None,\n",
        "",
        breaks="a migration of over three seconds could never be made",
        tests=f"{_PROCESSES}::test_a_set_up_waits_for_another_one",
    ),
    mutant(
        "coming-back-is-limited",
        "api/web/shop/order.py",
        "    if order.status.is_live and _may_look(request, gateway):",
        "    if order.status.is_live:",
        breaks="anybody could fill a checkout with signals until Temporal takes none",
        tests=f"{_ANSWERS}::test_who_comes_back_again_and_again_does_not_wake_the_checkout_each_time",
    ),
    mutant(
        "a-deadline-the-provider-keeps",
        "runtime/settings.py",
        "gt=0, le=79_200,",
        "gt=0, le=86_400,",
        breaks="a customer would be told of ten minutes that the payment page does not give",
        tests=f"{_PROCESSES}::test_no_deadline_is_promised_that_the_provider_does_not_keep",
    ),
    mutant(
        "another-cart-is-refused-at-once",
        "api/checkouts.py",
        "                await self._check_begun(handle, fingerprint)\n",
        "",
        breaks="while no worker runs, whoever reuses a key for another cart would be told that it has begun",
        tests=f"{_ANSWERS}::test_another_cart_under_a_key_is_refused_also_before_any_worker_has_looked",
    ),
    mutant(
        "debts-are-told",
        "api/order_views.py",
        "    elif status is OrderStatus.CANCELLED and row.payment_intent_id:",
        "    elif False:",
        breaks="a customer whose money came late would read that nothing was charged",
        tests=f"{_ANSWERS}::test_money_that_is_owed_is_told_to_customer_and_operator",
    ),
    mutant(
        "bugs-are-counted",
        "api/middleware/metrics.py",
        "                count(500)\n",
        "                pass\n",
        breaks="the alert on 5xx would be silent while everything fails",
        tests=f"{_ANSWERS}::test_a_bug_is_counted_like_every_answer",
    ),
    mutant(
        "followers-begin-anew",
        "api/events.py",
        _TELL_FOLLOWERS,
        "            while",
        breaks="after PostgreSQL was away, an operator's stream would go on with a gap in it that nobody sees",
        tests="tests/integration/test_event_stream.py::test_who_follows_hears_of_each_order_and_begins_anew_after_a_gap",
    ),
    mutant(
        "a-repeat-is-asked-by-its-key",
        "payment_mock/routes/stripe_sessions.py",
        "        if (known := await service.recall(key)) is not None:\n            return known\n",
        "",
        breaks="the simulator would refuse a repeat that Stripe answers, and hide what the shop does with it",
        tests="tests/integration/payment_mock/test_idempotency.py"
        "::test_a_repeat_gets_its_answer_though_the_time_it_asked_for_has_come_near",
    ),
)
