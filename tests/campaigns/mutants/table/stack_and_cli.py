"""Bugs planted in the supervisor, the command line, the benchmark and the deployment."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "libpq-of-the-shell",
        Code("stack.environment.python_environment", '("PG",)', "()"),
        breaks="a variable meant for another database would keep the shop from its own",
        tests="test_what_the_shell_says_to_libpq_temporal_and_python_is_not_for_embedded_servers",
    ),
    bug(
        "temporal-file-as-uri",
        Code("stack.temporal.part", '["temporal.db"]', '[str(folder / "temporal.db")]'),
        breaks="two shops whose folders begin alike would share one history, readable by everybody",
        tests="test_both_servers_keep_their_data_where_they_were_told_and_find_it_again",
    ),
    bug(
        "refund-is-repeated-under-its-key",
        Code("Shop._insist", "{'Idempotency-Key': key}", "{}"),
        breaks="a refund whose reply was lost would be refused, or made twice",
        tests="test_a_refund_that_is_not_answered_yet_is_asked_for_again_under_the_same_key",
    ),
    bug(
        "failure-looks-like-an-answer",
        Code(
            "cli.output.speaking",
            'CommandFailed(BROKEN, "Wrong settings", str(error))',
            'CommandFailed(NO, "Wrong settings", str(error))',
        ),
        breaks="whoever watches the audit would hear of broken promises where only a setting is wrong",
        tests="test_a_dotenv_file_in_another_encoding_is_a_sentence_and_no_answer",
    ),
    bug(
        "hangup-is-heard",
        Code("cli.up._on_signals", "signal.getsignal(number) is not signal.SIG_IGN", "True"),
        breaks="a shop started with nohup would close with its terminal",
        tests="test_a_signal_that_was_ignored_when_it_came_stays_ignored",
    ),
)
