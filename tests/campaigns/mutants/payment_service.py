"""Bugs planted in the payment service, where it defends itself: if it lies, no other test means anything."""

from tests.campaigns.mutants.mutant import Edit, Mutant, mutant

_TRANSITIONS = "payment_mock/store/transitions.py"
_KEYS = "payment_mock/store/idempotency.py"
_SCHEMA = "payment_mock/migrations/versions/0001_payments.py"

_MONEY = "tests/integration/payment_mock/test_payments_and_refunds.py"
_REPEATS = "tests/integration/payment_mock/test_idempotency.py"
_HOOKS = "tests/integration/payment_mock/test_webhooks.py"
_PARTS = "tests/unit/payment_mock/test_parts.py"

_PAY = "_PAY = _transition(_SET_PAID + \"status = 'open' AND expires_at > now()\", _CHARGED)"

PAYMENT_SERVICE = (
    mutant(
        "pay-only-what-is-open",
        _TRANSITIONS,
        _PAY,
        _PAY.replace("status = 'open' AND ", ""),
        breaks="an expired session could be charged",
        tests=f"{_MONEY}::test_of_payment_and_expiry_exactly_one_wins",
    ),
    mutant(
        "pay-only-in-time",
        _TRANSITIONS,
        _PAY,
        _PAY.replace(" AND expires_at > now()", ""),
        breaks="a session past its time could be charged",
        tests=f"{_MONEY}::test_a_session_past_its_time_cannot_be_paid_even_before_the_clock_swept_it",
    ),
    Mutant(
        "one-charge-a-session",
        (
            Edit(_TRANSITIONS, _PAY, _PAY.replace("status = 'open' AND ", "")),
            Edit(
                _SCHEMA,
                "CREATE UNIQUE INDEX one_charge_per_session ON payments.ledger (session_id) WHERE kind = 'charge'",
                "CREATE INDEX one_charge_per_session ON payments.ledger (session_id) WHERE kind = 'charge'",
            ),
        ),
        "fifty clicks on Pay could be fifty charges",
        (f"{_MONEY}::test_fifty_payments_at_once_make_one_charge",),
    ),
    mutant(
        "one-charge-in-the-ledger",
        _SCHEMA,
        "CREATE UNIQUE INDEX one_charge_per_session",
        "CREATE INDEX one_charge_per_session",
        breaks="the ledger would take a second charge from whoever writes one",
        tests=f"{_MONEY}::test_the_database_itself_refuses_wrong_states",
    ),
    mutant(
        "expire-only-what-is-open",
        _TRANSITIONS,
        "    UPDATE payments.sessions SET status = 'expired', closed_at = now()\n"
        "    WHERE id = CAST(:session_id AS text) AND status = 'open'",
        "    UPDATE payments.sessions SET status = 'expired', closed_at = now()\n"
        "    WHERE id = CAST(:session_id AS text)",
        breaks="an expired session would expire again, with another event",
        tests="tests/integration/payment_mock/test_sessions.py::"
        "test_an_open_session_expires_once_and_a_closed_one_is_refused_in_stripes_words",
    ),
    mutant(
        "refunds-count-each-other",
        _TRANSITIONS,
        " AND amount_refunded = CAST(:seen AS bigint)",
        "",
        breaks="refunds at once would not see each other",
        tests="tests/integration/test_adapter_guards.py::test_of_two_refunds_that_saw_the_same_charge_one_is_made_and_the_other_is_told_so",
    ),
    mutant(
        "repeat-gets-the-stored-answer",
        _KEYS,
        "    FROM gate WHERE is_free\n    ON CONFLICT (key) DO NOTHING\n",
        "    FROM gate WHERE is_free\n    ON CONFLICT (key) DO UPDATE SET body = excluded.body\n",
        breaks="a repeated create would open another session",
        tests=f"{_REPEATS}::test_a_repeat_gets_the_same_bytes_and_says_so",
    ),
    mutant(
        "key-of-one-request",
        _KEYS,
        "    if row.fingerprint != key.fingerprint:\n",
        "    if False:\n",
        breaks="other parameters under a key would get the first one's session",
        tests=f"{_REPEATS}::test_other_parameters_under_the_same_key_are_an_idempotency_error",
    ),
    mutant(
        "key-of-one-endpoint",
        _KEYS,
        "    if row.endpoint != key.endpoint:\n",
        "    if False:\n",
        breaks="a refund could be answered with a session",
        tests=f"{_REPEATS}::test_the_same_key_at_another_endpoint_is_an_idempotency_error",
    ),
    mutant(
        "key-in-flight",
        _KEYS,
        "    FROM gate WHERE is_free\n",
        "    FROM gate\n",
        breaks="a request would hang on another one with its key instead of a 409",
        tests=f"{_REPEATS}::test_a_key_in_flight_is_409_until_its_request_is_through",
    ),
    mutant(
        "every-secret-signs",
        "payment_mock/outbox/signature.py",
        "for secret in secrets]",
        "for secret in list(secrets)[:1]]",
        breaks="during a rotation the shop would refuse genuine events",
        tests=f"{_HOOKS}::test_during_a_rotation_either_secret_verifies",
    ),
    mutant(
        "delivered-means-2xx",
        "payment_mock/outbox/deliverer.py",
        "        if code is not None and 200 <= code < 300:\n",
        "        if code is not None:\n",
        breaks="an event that the shop could not take would be lost",
        tests=f"{_HOOKS}::test_a_refused_delivery_is_repeated_until_it_is_answered_2xx",
    ),
    mutant(
        "mock-never-in-production",
        "payment_mock/settings.py",
        '        if self.environment == "production":\n',
        "        if False:\n",
        breaks="a simulator could take a real shop's orders",
        tests=f"{_PARTS}::test_the_simulator_refuses_production",
    ),
)
