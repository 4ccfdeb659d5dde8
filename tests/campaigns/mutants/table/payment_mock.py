"""Bugs planted in the payment simulator: if it lies, no other test means anything."""

from tests.campaigns.mutants.anchors import Code, Words, schema
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "useless-sessions-of-the-payment-service-too",
        Code("database.Database.single", "_state(error).startswith(_USELESS)", "False"),
        breaks="after a failover nobody could pay until somebody killed the payment service",
        tests="test_the_payment_service_gives_up_sessions_that_are_read_only_too",
    ),
    bug(
        "debit-that-failed-is-not-paid",
        Code("domain.payments.settle", "session.is_processing and status == 'failed'", "False"),
        breaks="the simulator's debits would never fail",
        tests="test_a_payment_that_takes_days_is_complete_at_once_and_paid_or_failed_later",
    ),
    bug(
        "pay-only-what-is-open",
        Code("domain.payments.pay", "session.status != 'open' or time() >= session.expires_at", "False"),
        breaks="an expired session could be charged",
        tests="test_of_payment_and_expiry_exactly_one_wins",
    ),
    bug(
        "expire-only-what-is-open",
        Code("domain.payments.expire", "session.status != 'open'", "False"),
        breaks="an expired session would expire again, with another event",
        tests="test_an_open_session_expires_once_and_a_closed_one_is_refused_in_stripes_words",
    ),
    bug(
        "repeat-gets-the-stored-answer",
        Code("idempotency.recall", "not known", "True"),
        breaks="a repeated create would open another session",
        tests="test_a_repeat_gets_the_same_bytes_and_says_so",
    ),
    bug(
        "key-of-one-request",
        Code("idempotency.recall", "(endpoint, fingerprint) != (key.endpoint, key.fingerprint)", "False"),
        breaks="other parameters under a key would get the first one's session",
        tests="test_other_parameters_under_the_same_key_are_an_idempotency_error",
    ),
    bug(
        "key-of-one-endpoint",
        Code(
            "idempotency.recall",
            "(endpoint, fingerprint) != (key.endpoint, key.fingerprint)",
            "endpoint == key.endpoint and fingerprint != key.fingerprint",
        ),
        breaks="a refund could be answered with a session",
        tests="test_the_same_key_at_another_endpoint_is_an_idempotency_error",
    ),
    bug(
        "key-in-flight",
        Code("idempotency.held", "key.key in in_flight", "False"),
        breaks="a request would be executed beside another one with its key instead of a 409",
        tests="test_a_key_in_flight_is_409_until_its_request_is_through",
    ),
    bug(
        "one-charge-in-the-ledger",
        schema("CREATE UNIQUE INDEX one_charge_per_session", "CREATE INDEX one_charge_per_session"),
        breaks="the ledger would take a second charge from whoever writes one",
        tests="test_the_database_itself_refuses_wrong_states",
    ),
    bug(
        "a-lease-ends-soon",
        Code("Outbox._look", "3 * self._settings.webhook_timeout", "20000.0"),
        breaks="an event that a dying payment service had in hand would reach the shop hours later",
        tests="test_what_a_killed_process_had_in_hand_is_sent_by_another_once_its_lease_is_over",
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
        "the-payment-services-heads-are-bounded",
        Code("LimitedHttp.on_headers_complete", "self._untold > MAX_HEAD_BYTES", "False"),
        breaks="one connection could fill the payment service's memory",
        tests="test_the_payment_service_reads_a_head_below_the_bound_each_time",
    ),
    bug(
        "a-repeat-is-asked-by-its-key",
        Code("stripe_route", "key is not None", "False"),
        breaks="the simulator would refuse a repeat that Stripe answers, and hide what the shop does with it",
        tests="test_a_repeat_gets_its_answer_though_the_time_it_asked_for_has_come_near",
    ),
    bug(
        "mock-never-in-production",
        Code("_never_in_production", "self.environment == 'production'", "False"),
        breaks="a simulator could take a real shop's orders",
        tests="test_the_simulator_refuses_production",
    ),
    bug(
        "pay-only-in-time",
        Words("payment_mock/statements.sql", "AND (NOT :in_time OR expires_at > clock_timestamp())", ""),
        breaks="a session past its time could be charged",
        tests="test_a_session_past_its_time_cannot_be_paid_even_before_the_clock_swept_it",
    ),
    bug(
        "one-charge-a-session",
        Words("payment_mock/statements.sql", "id = :id AND version = :version", "id = :id"),
        schema(
            "CREATE UNIQUE INDEX one_charge_per_session ON payments.ledger (session_id) WHERE kind = 'charge'",
            "CREATE INDEX one_charge_per_session ON payments.ledger (session_id) WHERE kind = 'charge'",
        ),
        breaks="fifty clicks on Pay could be fifty charges",
        tests="test_fifty_payments_at_once_make_one_charge",
    ),
    bug(
        "refunds-count-each-other",
        Words("payment_mock/statements.sql", "id = :id AND version = :version", "id = :id"),
        breaks="refunds at once would not see each other",
        tests="test_of_two_refunds_that_saw_the_same_charge_one_is_made_and_the_other_is_told_so",
    ),
)
