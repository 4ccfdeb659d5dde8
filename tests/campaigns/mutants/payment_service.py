"""Bugs planted in the payment service, where it defends itself: if it lies, no other test means anything."""

from tests.campaigns.mutants.anchors import Code, Text, schema
from tests.campaigns.mutants.mutant import bug

PAYMENT_SERVICE = (
    bug(
        "pay-only-what-is-open",
        Code("domain.payments.pay", "session.status != 'open' or time() >= session.expires_at", "False"),
        breaks="an expired session could be charged",
        tests="test_of_payment_and_expiry_exactly_one_wins",
    ),
    bug(
        "pay-only-in-time",
        Text("store._CHANGE", "AND (NOT :in_time OR expires_at > clock_timestamp())", ""),
        breaks="a session past its time could be charged",
        tests="test_a_session_past_its_time_cannot_be_paid_even_before_the_clock_swept_it",
    ),
    bug(
        "one-charge-a-session",
        Text("store._CHANGE", "id = :id AND version = :version", "id = :id"),
        schema(
            "CREATE UNIQUE INDEX one_charge_per_session ON payments.ledger (session_id) WHERE kind = 'charge'",
            "CREATE INDEX one_charge_per_session ON payments.ledger (session_id) WHERE kind = 'charge'",
        ),
        breaks="fifty clicks on Pay could be fifty charges",
        tests="test_fifty_payments_at_once_make_one_charge",
    ),
    bug(
        "one-charge-in-the-ledger",
        schema("CREATE UNIQUE INDEX one_charge_per_session", "CREATE INDEX one_charge_per_session"),
        breaks="the ledger would take a second charge from whoever writes one",
        tests="test_the_database_itself_refuses_wrong_states",
    ),
    bug(
        "expire-only-what-is-open",
        Code("domain.payments.expire", "session.status != 'open'", "False"),
        breaks="an expired session would expire again, with another event",
        tests="test_an_open_session_expires_once_and_a_closed_one_is_refused_in_stripes_words",
    ),
    bug(
        "refunds-count-each-other",
        Text("store._CHANGE", "id = :id AND version = :version", "id = :id"),
        breaks="refunds at once would not see each other",
        tests="test_of_two_refunds_that_saw_the_same_charge_one_is_made_and_the_other_is_told_so",
    ),
    bug(
        "repeat-gets-the-stored-answer",
        Code("idempotency.recall", "not known", "True"),
        breaks="a repeated create would open another session",
        tests="test_a_repeat_gets_the_same_bytes_and_says_so",
    ),
    bug(
        "key-of-one-request",
        Code("idempotency.recall", "(row.endpoint, row.fingerprint) != (key.endpoint, key.fingerprint)", "False"),
        breaks="other parameters under a key would get the first one's session",
        tests="test_other_parameters_under_the_same_key_are_an_idempotency_error",
    ),
    bug(
        "key-of-one-endpoint",
        Code(
            "idempotency.recall",
            "(row.endpoint, row.fingerprint) != (key.endpoint, key.fingerprint)",
            "row.endpoint == key.endpoint and row.fingerprint != key.fingerprint",
        ),
        breaks="a refund could be answered with a session",
        tests="test_the_same_key_at_another_endpoint_is_an_idempotency_error",
    ),
    bug(
        "key-in-flight",
        Code("idempotency.held", "key.key in keys", "False"),
        breaks="a request would be executed beside another one with its key instead of a 409",
        tests="test_a_key_in_flight_is_409_until_its_request_is_through",
    ),
    bug(
        "every-secret-signs",
        Code("signature_header", "secrets", "list(secrets)[:1]"),
        breaks="during a rotation the shop would refuse genuine events",
        tests="test_during_a_rotation_either_secret_verifies",
    ),
    bug(
        "delivered-means-2xx",
        Code("Outbox._attempt", "code is not None and 200 <= code < 300", "code is not None"),
        breaks="an event that the shop could not take would be lost",
        tests="test_a_refused_delivery_is_repeated_until_it_is_answered_2xx",
    ),
    bug(
        "mock-never-in-production",
        Code("_never_in_production", "self.environment == 'production'", "False"),
        breaks="a simulator could take a real shop's orders",
        tests="test_the_simulator_refuses_production",
    ),
)
