"""Bugs planted in connections, deadlines of statements, roles and set-up of the database."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "set-ups-are-patient",
        Code("db.__main__._run", "command_timeout=None", ""),
        breaks="a migration of over three seconds could never be made",
        tests="test_a_set_up_waits_for_another_one",
    ),
    bug(
        "errors-do-not-quote",
        Code("create_engine", "hide_parameters=True", "hide_parameters=False"),
        breaks="the email of whoever buys while PostgreSQL restarts would be in the worker's log",
        tests="test_what_a_statement_was_asked_with_is_in_no_error",
    ),
    bug(
        "data-that-cannot-be-stored-is-final",
        Code("db.engine.transaction", "not state.startswith(_DATA_EXCEPTION)", "True"),
        breaks="a checkout with a name that cannot be stored would be retried for ever",
        tests="test_text_that_is_none_is_a_final_error_which_does_not_repeat_it",
    ),
    bug(
        "useless-sessions-are-thrown-away",
        Code("engine._throw_away", "context.is_disconnect = True", "pass"),
        breaks="after a failover nothing could be written until somebody killed the processes",
        tests="test_a_session_that_became_read_only_is_thrown_away_with_all_of_its_pool",
    ),
    bug(
        "limits-are-read-back",
        Code("db.engine.open_session", "not holds", "False"),
        breaks="behind a pooler that keeps SET to itself, a frozen process would hold its locks for ever",
        tests="test_limits_that_do_not_hold_are_refused_by_name",
    ),
    bug(
        "a-pooler-of-transactions-is-refused",
        Code("db.engine.check_sessions", "len(first) > 1 or first & second", "False"),
        breaks="our limits would be those of whoever has the session next",
        tests="test_a_pooler_of_transactions_is_refused",
    ),
    bug(
        "who-waits-for-a-row-gives-up",
        Code("db.engine.LOCK_TIMEOUT", "1.5", "150"),
        breaks="buyers of one product would wait as long as its slowest transaction",
        tests="test_who_waits_for_a_row_gives_up_before_its_step_does",
    ),
    bug(
        "a-frozen-process-gives-its-rows-back",
        Code("db.engine.IDLE_IN_TRANSACTION_TIMEOUT", "2.5", "250"),
        breaks="a frozen worker would keep a product from everybody",
        tests="test_a_process_that_froze_with_a_row_locked_gives_it_back",
    ),
    bug(
        "statements-end",
        Code("db.engine.STATEMENT_TIMEOUT", "2.5", "250"),
        breaks="a statement could go on, and commit, long after its step was given up",
        tests="test_a_statement_that_does_not_end_is_ended",
    ),
    bug(
        "silence-is-not-waited-for",
        Code("engine.COMMAND_TIMEOUT", "3.0", "300"),
        breaks="a network that swallows packets would hang every step and every customer",
        tests="test_a_network_that_swallows_everything_is_not_waited_for",
    ),
    bug(
        "no-goodbye-to-the-silent",
        Code("engine._hang_up", "connection.driver_connection.terminate()", "pass"),
        breaks="each step would wait two seconds longer than its limit says",
        tests="test_a_network_that_swallows_everything_is_not_waited_for",
    ),
    bug(
        "every-text-fits",
        Code("refuse_other_encodings", 'encoding != "UTF8"', "False"),
        breaks="a shop would be set up that turns half the world's names away",
        tests="test_set_up_refuses_a_database_that_cannot_hold_every_text",
    ),
    bug(
        "percent-in-a-folder",
        Code("db.setup.alembic_config", 'folder.replace("%", "%%")', "folder"),
        breaks="a shop in such a folder could never be set up",
        tests="test_a_working_copy_may_be_called_anything",
    ),
)
