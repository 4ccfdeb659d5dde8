"""Bugs planted where workflows meet the platform: what makes a decision another one when it is made again."""

from tests.campaigns.mutants.anchors import Code, Words
from tests.campaigns.mutants.mutant import bug

PLATFORM = (
    bug(
        "helpers-run-in-the-sandbox",
        Words("tests/support/sandbox.py", '"worker.activities"', '"worker"'),
        breaks="a clock in a helper of the workflows would be seen by no test, and by customers after a restart",
        tests="test_what_no_workflow_may_do_is_caught_in_every_module_of_their_code",
    ),
    bug(
        "no-clock-in-a-helper",
        Code("Inbox.wait", "workflow.now() >= order.deadline", "__import__('datetime').datetime.now() is None"),
        breaks="a checkout that moves to another worker would decide its deadline anew",
        tests="test_todays_workflows_replay_the_history",
    ),
    bug(
        "one-order-in-every-process",
        Code("Inbox._others", "sorted(...)", "list(...)"),
        breaks="a checkout that moves to another worker would forget a session, and what was paid for it",
        tests="test_sessions_are_handed_on_once_and_in_an_order_that_every_process_repeats",
    ),
    bug(
        "a-long-history-ends",
        Code("Inbox._is_full", "is_flooded or workflow.info().is_continue_as_new_suggested()", "is_flooded"),
        breaks="a checkout with a long history would become slower and slower, and be ended by Temporal at last",
        tests="test_todays_workflows_replay_the_history",
    ),
)
