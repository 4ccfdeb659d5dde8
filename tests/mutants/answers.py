"""Bugs planted in what the service says when something is wrong."""

from tests.mutants.mutant import Mutant, mutant

_ANSWERS = "tests/integration/test_answer_guards.py"

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
        tests=f"{_ANSWERS}::test_what_a_statement_was_asked_with_is_in_no_error",
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
        tests=f"{_ANSWERS}::test_a_set_up_waits_for_another_one",
    ),
    mutant(
        "coming-back-is-limited",
        "api/pages/order.py",
        "    if order.status.is_live and _may_look(request, gateway):",
        "    if order.status.is_live:",
        breaks="anybody could fill a checkout with signals until Temporal takes none",
        tests=f"{_ANSWERS}::test_who_comes_back_again_and_again_does_not_wake_the_checkout_each_time",
    ),
    mutant(
        "a-deadline-the-provider-keeps",
        "checkout/settings.py",
        "gt=0, le=79_200,",
        "gt=0, le=86_400,",
        breaks="a customer would be told of ten minutes that the payment page does not give",
        tests=f"{_ANSWERS}::test_no_deadline_is_promised_that_the_provider_does_not_keep",
    ),
)
