"""Bugs planted in the webhook: signatures, duplicates, what an event is about."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
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
        "webhook-signature",
        Code("webhooks.verify", "any((_has_signed(secret, payload, header) for secret in secrets))", "True"),
        breaks="anybody could send events",
        tests="test_a_signature_that_does_not_verify_is_refused",
    ),
    bug(
        "webhook-rotation",
        Code(
            "webhooks.verify",
            "(_has_signed(secret, payload, header) for secret in secrets)",
            "(_has_signed(secret, payload, header) for secret in secrets[:1])",
        ),
        breaks="during a rotation genuine events would be refused",
        tests="test_a_signature_of_either_secret_in_rotation_is_taken",
    ),
    bug(
        "webhook-signature-is-anything",
        Code(
            "webhooks._has_signed",
            "(stripe.SignatureVerificationError, ValueError, TypeError)",
            "(stripe.SignatureVerificationError, ValueError)",
        ),
        breaks="anybody could fill the log with tracebacks",
        tests="test_a_signature_that_does_not_verify_is_refused",
    ),
    bug(
        "webhook-not-stale",
        Code("webhooks.verify", "now - signed_at > TOLERANCE", "False"),
        breaks="a recorded event could be replayed for ever",
        tests="test_a_signature_too_old_or_of_the_future_is_refused",
    ),
    bug(
        "webhook-not-of-the-future",
        Code("webhooks.verify", "signed_at - now > TOLERANCE", "False"),
        breaks="a recorded event could be kept for later",
        tests="test_a_signature_too_old_or_of_the_future_is_refused",
    ),
    bug(
        "other-mode-is-not-ours",
        Code("webhooks.parse", "event.get('livemode') is (not is_live)", "False"),
        breaks="events of the test account could move live orders",
        tests="test_an_event_of_the_other_mode_is_let_go_with_a_line",
    ),
    bug(
        "told-once",
        Code("hints.signal", "request_id=once", "request_id=''"),
        breaks="whoever opens a page again and again would fill an order's history",
        tests=(
            "test_coming_back_again_and_again_is_noted_once_each_way",
            "test_an_event_sent_again_and_again_leaves_one_trace_in_the_history",
        ),
    ),
    bug(
        "webhook-503-while-temporal-is-away",
        Code(
            "hints.signal",
            "if error.status is RPCStatusCode.NOT_FOUND: return False\nraise",
            "return error.status is not RPCStatusCode.NOT_FOUND",
        ),
        breaks="an event would be answered 200 and lost",
        tests="test_an_event_that_temporal_does_not_take_is_an_error_so_that_it_is_sent_again",
    ),
    bug(
        "webhook-settles-what-is-closed",
        Code("hints.signal", "return False", "return True"),
        breaks="late money would be kept",
        tests="test_an_event_of_a_closed_checkout_has_its_money_given_back",
    ),
    bug(
        "redelivery-starts-nothing",
        Code("hints.deliver", "order is not None and is_no_news(order, event.type)", "False"),
        breaks="each redelivered event would cost a workflow",
        tests="test_an_event_told_again_for_a_fulfilled_order_starts_nothing",
    ),
    bug(
        "event-names-the-order",
        Code("hints.deliver", "order.order_id if order else None", "None"),
        breaks="the settlement could not tell an own session that the provider denies from a foreign one",
        tests="test_money_for_an_ended_order_is_looked_for_though_the_provider_knows_nothing_of_its_session",
    ),
)
