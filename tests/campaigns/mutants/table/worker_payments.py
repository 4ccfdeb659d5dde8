"""Bugs planted in the port to the payment provider: keys, limits, what an answer means."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "payment-status-of-the-adapter",
        Code("answers.state_of", "session.payment_status == 'paid'", "session.status == 'complete'"),
        breaks="an unpaid order would ship",
        tests="test_complete_is_not_paid",
    ),
    bug(
        "stuck-is-recognised",
        Code("answers.error_of", "'true'", "'never'"),
        breaks="a stored 500 would be asked for ever",
        tests="test_a_stored_error_is_told_from_a_passing_one",
    ),
    bug(
        "only-payments-are-ours",
        Code("answers.state_of", "session.mode != 'payment'", "False"),
        breaks="each session of another kind in the account would leave a settlement that never ends",
        tests="test_a_session_that_is_not_for_a_payment_is_none_of_ours",
    ),
    bug(
        "unknown-is-the-providers-word",
        Code("answers.error_of", "error.error is None", "False"),
        breaks="a proxy's error page would reject orders, and drop events",
        tests="test_an_error_that_is_not_stripes_decides_nothing",
    ),
    bug(
        "unknown-is-of-the-session",
        Code("answers.error_of", "status == 404 and code == 'resource_missing'", "status == 404"),
        breaks="a wrong path in the address would make every session unknown",
        tests="test_only_stripes_own_word_makes_a_session_unknown",
    ),
    bug(
        "a-refund-is-one-that-stands",
        Code(
            "answers.refund_of",
            "STRIPE_REFUND_STATES[refund.status]",
            "STRIPE_REFUND_STATES.get(refund.status, RefundState.SUCCEEDED)",
        ),
        breaks="an empty success, or a refund that failed, would end the order as refunded",
        tests="test_a_success_that_is_no_refund_gives_nothing_back",
    ),
    bug(
        "session-key-derived",
        Code(
            "StripeProvider.create_session",
            "session_idempotency_key(request.order_id, key_number)",
            "session_idempotency_key(request.order_id, key_number) + __import__('secrets').token_hex(4)",
        ),
        breaks="each retry would open another payable session",
        tests="test_every_attempt_for_an_order_gets_the_same_session",
    ),
    bug(
        "refund-key-derived",
        Code(
            "StripeProvider.refund",
            "refund_idempotency_key(refund.id, number)",
            "refund_idempotency_key(refund.id, number) + __import__('secrets').token_hex(4)",
        ),
        breaks="two refunds at once could both be made",
        tests="test_many_at_once_who_find_the_first_key_used_up_make_one_refund",
    ),
    bug(
        "already-complete-is-an-answer",
        Code("StripeProvider.expire_session", "return state", "raise"),
        breaks="a payment at the deadline would leave its order stuck",
        tests="test_expiring_what_is_paid_says_so",
    ),
    bug(
        "open-is-not-closed",
        Code("StripeProvider.expire_session", "state.status is SessionStatus.OPEN", "False"),
        breaks="a session that the provider will not close would be asked about without a pause",
        tests="test_an_open_session_that_is_not_closed_is_no_answer",
    ),
    bug(
        "refused-refund-gets-another-key",
        Code("StripeProvider.refund", "contextlib.suppress(PaymentStuck)", "contextlib.nullcontext()"),
        breaks="money that was refused once would be owed for a day after the refusal is mended",
        tests="test_what_was_refused_once_is_given_back_as_soon_as_the_refusal_is_mended",
    ),
    bug(
        "refunds-made-are-looked-for-first",
        Code("StripeProvider.refund", "made.refund_id == refund.id", "False"),
        breaks="a refund whose answer was lost for a day would be made again",
        tests="test_a_refund_that_was_made_is_answered_as_it_is_though_its_key_is_forgotten",
    ),
    bug(
        "lists-are-read-to-their-end",
        Code("StripeProvider._every", "not page.has_more or not page.data", "True"),
        breaks="in a busy shop a session whose reply was lost would not be found, and its stock go back",
        tests="test_a_session_is_found_though_many_were_opened_after_it",
    ),
    bug(
        "the-provider-closes-what-we-forgot",
        Code(
            "StripeProvider._parameters",
            "min(pay_by + PROVIDER_EXPIRY_SLACK, created + PROVIDER_EXPIRY_MAX)",
            "created + PROVIDER_EXPIRY_MAX",
        ),
        breaks="a session that we never came to close could be paid for a day",
        tests="test_the_provider_closes_a_session_two_hours_after_us_and_in_any_case_within_its_day",
    ),
)
