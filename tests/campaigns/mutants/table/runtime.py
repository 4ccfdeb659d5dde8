"""Bugs planted in what every process is made of: settings, the payload codec, proxies, logs."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "codec-bound-to-its-workflow",
        Code("EncryptingCodec.decrypt", "not self._is_for_us(workflow_id)", "False"),
        breaks="one order's payload could be moved into another's history",
        tests="test_a_payload_cannot_be_moved_into_another_workflow",
    ),
    bug(
        "codec-fresh-nonce",
        Code("EncryptingCodec.encrypt", "os.urandom", "bytes"),
        breaks="a repeated nonce gives AES-GCM's key away",
        tests="test_the_same_text_never_looks_the_same_twice",
    ),
    bug(
        "redirects-are-not-followed",
        Code(
            "client_options",
            "{'follow_redirects': False, 'trust_env': False}",
            "{'follow_redirects': True, 'trust_env': False}",
        ),
        breaks="whoever answers in the provider's place could have our key sent anywhere",
        tests="test_a_redirect_is_not_followed_and_carries_the_key_nowhere",
    ),
    bug(
        "no-proxy-of-the-shells",
        Code(
            "client_options",
            "{'follow_redirects': False, 'trust_env': False}",
            "{'follow_redirects': False, 'trust_env': True}",
        ),
        breaks="a proxy that some variable of the shell names would be told whom we ask, and what",
        tests="test_a_proxy_that_the_shell_names_is_not_heard",
    ),
    bug(
        "log-without-ids",
        Code("runtime.logs.JsonFormatter.add_fields", "_ID.fullmatch(argument)", "None"),
        breaks="an order could not be found in the logs",
        tests="test_ids_that_the_words_name_are_fields",
    ),
    bug(
        "a-deadline-the-provider-keeps",
        Code("Settings.payment_timeout", "79_200", "86_400"),
        breaks="a customer would be told of ten minutes that the payment page does not give",
        tests="test_no_deadline_is_promised_that_the_provider_does_not_keep",
    ),
    bug(
        "failpoints-never-in-production",
        Code("_refuse_development_values", "self.failpoints is not None", "False"),
        breaks="production could be made to fail by a setting",
        tests="test_production_refuses_to_start_with_failpoints_and_names_the_variable",
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
)
