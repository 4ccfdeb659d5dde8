"""Bugs planted in the settings and in what a stack hands to its processes."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import bug

FIELD_STACK = (
    bug(
        "every-checkout-moves",
        Code("worker.app._pinned", "VersioningBehavior.PINNED", "VersioningBehavior.AUTO_UPGRADE"),
        breaks="a checkout would go on with code that cannot replay what it has been through",
        tests="test_what_waits_on_a_version_that_is_switched_off_is_taken_over_once_it_is_terminated",
    ),
    bug(
        "blank-is-a-value",
        Code("runtime.settings.Settings._blank_is_unset", 'value != ""', "True"),
        Code("payment_mock.settings.Settings._blank_is_unset", 'value != ""', "True"),
        breaks="an empty host would listen on every interface, the simulator's faults for everybody among them",
        tests="test_an_empty_variable_is_an_unset_one_for_every_setting",
    ),
    bug(
        "development-key-to-stripe",
        Code("runtime.settings.Settings.stripe_api_base", "self._has_development_key", "False"),
        breaks="a process without settings would send development's key to Stripe, and no checkout would get a session",
        tests="test_developments_key_goes_to_the_simulator",
    ),
    bug(
        "production-over-http",
        Code("runtime.settings._insecure", 'url.startswith("https://")', "True"),
        breaks="production would send customers, and its key, over plain http",
        tests="test_it_refuses_by_the_variables_name_and_never_shows_the_value",
    ),
    bug(
        "temporal-file-as-uri",
        Code("stack.temporal.part", '["temporal.db"]', '[str(folder / "temporal.db")]'),
        breaks="two shops whose folders begin alike would share one history, readable by everybody",
        tests="test_both_servers_keep_their_data_where_they_were_told_and_find_it_again",
    ),
    bug(
        "percent-in-a-folder",
        Code("db.setup.alembic_config", 'folder.replace("%", "%%")', "folder"),
        breaks="a shop in such a folder could never be set up",
        tests="test_a_working_copy_may_be_called_anything",
    ),
    bug(
        "hangup-is-heard",
        Code("cli.up._on_signals", "signal.getsignal(number) is not signal.SIG_IGN", "True"),
        breaks="a shop started with nohup would close with its terminal",
        tests="test_a_signal_that_was_ignored_when_it_came_stays_ignored",
    ),
    bug(
        "libpq-of-the-shell",
        Code("stack.environment.python_environment", '("PG",)', "()"),
        breaks="a variable meant for another database would keep the shop from its own",
        tests="test_what_the_shell_says_to_libpq_temporal_and_python_is_not_for_embedded_servers",
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
        "log-without-ids",
        Code("runtime.logs.JsonFormatter.add_fields", "_ID.fullmatch(argument)", "None"),
        breaks="an order could not be found in the logs",
        tests="test_ids_that_the_words_name_are_fields",
    ),
    bug(
        "null-pid-is-the-gateway",
        Code("api.web.console.processes._child", "isinstance(pid, int)", "True"),
        breaks="an operator who kills a part that does not run would kill the gateway",
        tests="test_a_part_that_does_not_run_is_not_taken_for_the_gateway_itself",
    ),
)
