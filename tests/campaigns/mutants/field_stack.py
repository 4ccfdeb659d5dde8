"""Bugs planted in the settings and in what a stack hands to its processes."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import bug

FIELD_STACK = (
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
)
