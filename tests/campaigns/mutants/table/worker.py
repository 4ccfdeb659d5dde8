"""Bugs planted in the worker around them: how workflows start, are kept, retried and run in the sandbox."""

from tests.campaigns.mutants.anchors import Code, Words
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "steps-may-end",
        Code("app.create_worker", "policies.DRAIN", "policies.DRAIN * 0"),
        breaks="each stop of a worker would cut through the steps it is at",
        tests="test_a_step_that_is_under_way_may_end_when_the_worker_stops",
    ),
    bug(
        "every-checkout-moves",
        Code("worker.app._pinned", "VersioningBehavior.PINNED", "VersioningBehavior.AUTO_UPGRADE"),
        breaks="a checkout would go on with code that cannot replay what it has been through",
        tests="test_what_waits_on_a_version_that_is_switched_off_is_taken_over_once_it_is_terminated",
    ),
    bug(
        "a-worker-is-heard-or-not-ready",
        Code("PollerWatch.look", "is_heard", "True"),
        breaks="a worker whose polls come to nothing would be called ready",
        tests="test_polls_that_stopped_are_told_from_polls_that_go_on",
    ),
    bug(
        "sweep-lists-settlements",
        Code("looked_after._RUNNING", "SETTLEMENT_WORKFLOW", "CHECKOUT_WORKFLOW"),
        breaks="after a loss of Temporal's data no sweep would come to an end",
        tests="test_the_listing_shows_settlements_too",
    ),
    bug(
        "an-unknown-status-is-a-running-one",
        Code(
            "looked_after.is_running",
            "info.status not in _ENDED",
            "info.status == Status.WORKFLOW_EXECUTION_STATUS_RUNNING",
        ),
        breaks="each paused order would get a second workflow",
        tests="test_a_workflow_in_a_state_that_our_sdk_does_not_know_is_one_that_runs",
    ),
    bug(
        "a-dead-workers-task-goes-to-another",
        Code("policies.WORKFLOW_TASK_TIMEOUT", "timedelta(seconds=3)", "timedelta(seconds=10)"),
        breaks="whoever buys while a worker dies would be told to come again",
        tests="test_a_worker_that_died_with_a_task_is_not_waited_for_long",
    ),
    bug(
        "every-error-is-sorted",
        Code("policies._FINAL", "*errors.WrongCart.__subclasses__()", "errors.ProductNotFound"),
        breaks="a cart that cannot be paid would be opened for ever, and its buyer told to wait",
        tests="test_every_error_is_final_or_asked_again",
    ),
    bug(
        "stuck-is-final",
        Code("policies._FINAL", "errors.PaymentStuck", ""),
        breaks="a stored 500 would be asked for ever",
        tests="test_a_provider_that_refuses_for_good_ends_the_checkout_and_returns_the_stock",
    ),
    bug(
        "running-settlement-is-told",
        Code("Starter.settlement", "[] if request.event_id is None else [request.event_id]", "['told']"),
        breaks="a settlement that has looked already would not look again",
        tests="test_one_that_is_paid_while_its_settlement_runs_on_what_it_saw_before",
    ),
    bug(
        "the-schedule-is-made-again",
        Code("starting.keep_sweeping", "not is_set or not await has_sweep(client)", "not is_set"),
        breaks="after a loss of Temporal's data no sweep would ever run again",
        tests="test_the_sweeps_schedule_is_made_again_when_it_is_gone",
    ),
    bug(
        "running-checkout-is-joined",
        Code("Starter.checkout", "WorkflowIDConflictPolicy.USE_EXISTING", "WorkflowIDConflictPolicy.FAIL"),
        breaks="the second click would get an error",
        tests="test_of_many_clicks_all_get_one_answer_and_only_one_was_first",
    ),
    bug(
        "running-checkout-is-not-replaced",
        Code(
            "Starter.checkout", "WorkflowIDConflictPolicy.USE_EXISTING", "WorkflowIDConflictPolicy.TERMINATE_EXISTING"
        ),
        breaks="the second click would terminate the first one's checkout",
        tests="test_of_many_clicks_all_get_one_answer_and_only_one_was_first",
    ),
    bug(
        "ended-checkout-is-not-rerun",
        Code(
            "Starter.checkout",
            "WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.REJECT_DUPLICATE",
            "WorkflowIDReusePolicy.ALLOW_DUPLICATE",
        ),
        breaks="a key whose checkout has just ended would run again",
        tests="test_a_checkout_that_ended_between_look_and_start_is_not_run_again",
    ),
    bug(
        "local-failure-goes-on",
        Code("steps.run_step", "FailureError", "ActivityError"),
        breaks="the first unanswered call would end the checkout",
        tests="test_a_provider_that_is_away_is_asked_until_it_answers",
    ),
    bug(
        "helpers-run-in-the-sandbox",
        Words("tests/support/sandbox.py", '"worker.activities"', '"worker"'),
        breaks="a clock in a helper of the workflows would be seen by no test, and by customers after a restart",
        tests="test_what_no_workflow_may_do_is_caught_in_every_module_of_their_code",
    ),
)
