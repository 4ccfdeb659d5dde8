"""Bugs planted where the shop speaks to the payment service: keys, pages, limits, what an answer means."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import bug

FIELD_PAY = (
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
        "stuck-session-gets-another-key",
        Code("_obtain_session", "number == SESSION_KEYS", "True"),
        breaks="one stored error of the provider would lose the sale",
        tests="test_a_stored_error_under_the_first_key_leaves_the_session_to_the_second",
    ),
    bug(
        "lists-are-read-to-their-end",
        Code("StripeProvider._every", "not page.has_more or not page.data", "True"),
        breaks="in a busy shop a session whose reply was lost would not be found, and its stock go back",
        tests="test_a_session_is_found_though_many_were_opened_after_it",
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
        "the-provider-closes-what-we-forgot",
        Code(
            "StripeProvider._parameters",
            "min(pay_by + PROVIDER_EXPIRY_SLACK, created + PROVIDER_EXPIRY_MAX)",
            "created + PROVIDER_EXPIRY_MAX",
        ),
        breaks="a session that we never came to close could be paid for a day",
        tests="test_the_provider_closes_a_session_two_hours_after_us_and_in_any_case_within_its_day",
    ),
    bug(
        "what-cannot-be-paid-is-not-reserved",
        Code("opening._check_payable", "fault is not None", "False"),
        breaks="a cart below the provider's minimum would hold stock, and its buyer be told to try again for ever",
        tests="test_a_cart_that_cannot_be_paid_is_refused_by_name_before_anything_is_reserved",
    ),
    bug(
        "what-cannot-be-paid-is-told-to-its-buyer",
        Code("catalogue._WRONG_CARTS", "BeyondPaymentLimits", "MixedCurrencies"),
        breaks="a buyer whose cart is too small would be told to wait",
        tests="test_a_buyer_is_told_for_good_which_limit_the_cart_is_beyond",
    ),
    bug(
        "a-refused-event-is-not-silent",
        Code("webhooks._refused", "sparing.log(...)", ""),
        breaks="after a wrong secret or clock every order would wait for its deadline, and nobody would know why",
        tests="test_of_a_refused_event_the_log_and_a_counter_tell_the_reason",
    ),
    bug(
        "what-is-not-needed-is-not-judged",
        Code("webhooks.parse", "kind.startswith('checkout.session.')", "_provider_id(event['id'])"),
        breaks="the provider would switch off an endpoint that refuses events of a new kind",
        tests="test_a_signed_event_that_is_not_needed_is_taken_with_a_line",
    ),
    bug(
        "a-lease-ends-soon",
        Code("Outbox._look", "3 * self._settings.webhook_timeout", "20000.0"),
        breaks="an event that a dying payment service had in hand would reach the shop hours later",
        tests="test_what_a_killed_process_had_in_hand_is_sent_by_another_once_its_lease_is_over",
    ),
    bug(
        "the-payment-services-heads-are-bounded",
        Code("LimitedHttp.on_headers_complete", "self._untold > MAX_HEAD_BYTES", "False"),
        breaks="one connection could fill the payment service's memory",
        tests="test_the_payment_service_reads_a_head_below_the_bound_each_time",
    ),
    bug(
        "charged-in-whole-units",
        Code("currencies", "_row(code, 2, 0, 100)", "_row(code, 0, 0, 1)"),
        breaks="5,000 Uganda shillings would be shown as 500,000",
        tests="test_money_is_shown_as_it_is_charged",
    ),
)
