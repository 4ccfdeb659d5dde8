"""Bugs planted in the gateway: keys, replays, its webhook, and what operators ask for."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import bug

GATEWAY = (
    bug(
        "key-of-one-cart",
        Code("checkouts._same_cart", "stored != wish.fingerprint", "False"),
        breaks="another cart would get the first one's payment page",
        tests="test_a_key_answers_only_to_its_own_cart_while_it_runs_and_afterwards",
    ),
    bug(
        "fingerprint-counts-quantities",
        Code("cart_fingerprint", "[line.sku, line.quantity]", "[line.sku]"),
        breaks="two pens would be the same cart as one",
        tests="test_another_quantity_product_or_email_makes_another_cart",
    ),
    bug(
        "joined-run-has-its-cart",
        Code("Checkouts.buy", "_same_cart(view.fingerprint, wish)", ""),
        breaks="of two carts at once under one key, the second would pay for the first",
        tests="test_of_two_carts_at_once_under_a_new_key_one_is_refused",
    ),
    bug(
        "database-is-asked-first",
        Code("Checkouts.buy", "None if is_new_key else await self._find(key)", "None"),
        breaks="a key that Temporal forgot would start another checkout",
        tests="test_a_key_that_temporal_forgot_is_answered_from_the_database_and_starts_nothing",
    ),
    bug(
        "running-checkout-is-joined",
        Code("Starter.checkout", "WorkflowIDConflictPolicy.USE_EXISTING", "WorkflowIDConflictPolicy.FAIL"),
        breaks="the second click would get an error",
        tests="test_of_many_clicks_all_get_one_answer_and_only_one_was_first",
    ),
    bug(
        "running-checkout-is-not-replaced",
        Code(
            "Starter.checkout", "WorkflowIDConflictPolicy.USE_EXISTING", "WorkflowIDConflictPolicy.TERMINATE_EXISTING"
        ),
        breaks="the second click would terminate the first one's checkout",
        tests="test_of_many_clicks_all_get_one_answer_and_only_one_was_first",
    ),
    bug(
        "ended-checkout-is-not-rerun",
        Code(
            "Starter.checkout",
            "WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.REJECT_DUPLICATE",
            "WorkflowIDReusePolicy.ALLOW_DUPLICATE",
        ),
        breaks="a key whose checkout has just ended would run again",
        tests="test_a_checkout_that_ended_between_look_and_start_is_not_run_again",
    ),
    bug(
        "replay-is-marked",
        Code("Checkouts.buy", "view.request_id != wish.request_id", "False"),
        breaks="a client could not tell a repeat from a first answer",
        tests="test_of_many_clicks_all_get_one_answer_and_only_one_was_first",
    ),
    bug(
        "products-exist",
        Code("CartCheck.before", "if unknown: ...", ""),
        breaks="a cart of nonsense would start a workflow",
        tests="test_a_product_that_does_not_exist_is_refused_before_a_workflow_starts",
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
        "webhook-503-while-temporal-is-away",
        Code(
            "webhooks.tell",
            "if error.status is RPCStatusCode.NOT_FOUND: return False\nraise",
            "return error.status is not RPCStatusCode.NOT_FOUND",
        ),
        breaks="an event would be answered 200 and lost",
        tests="test_an_event_that_temporal_does_not_take_is_an_error_so_that_it_is_sent_again",
    ),
    bug(
        "webhook-503-at-first-contact",
        Code("problems._is_first_contact", "str(error).startswith('Failed client connect')", "False"),
        breaks="a gateway that starts while Temporal is away would answer 500",
        tests="test_an_event_while_temporal_is_away_is_503_so_that_it_is_sent_again",
    ),
    bug(
        "webhook-settles-what-is-closed",
        Code("webhooks.tell", "return False", "return True"),
        breaks="late money would be kept",
        tests="test_an_event_of_a_closed_checkout_has_its_money_given_back",
    ),
    bug(
        "settled-means-fulfilled",
        Code("webhooks._is_settled", "order.status.is_kept", "not order.status.is_live"),
        breaks="late money would be kept",
        tests="test_an_event_of_a_closed_checkout_has_its_money_given_back",
    ),
    bug(
        "redelivery-starts-nothing",
        Code("webhooks.deliver", "order is not None and _is_settled(order, event)", "False"),
        breaks="each redelivered event would cost a workflow",
        tests="test_an_event_told_again_for_a_fulfilled_order_starts_nothing",
    ),
    bug(
        "cancel-without-a-workflow",
        Code("Orders.ask_to_cancel", "await tell(...)", "True"),
        breaks="a customer could not cancel an orphaned order",
        tests="test_cancelling_an_order_that_lost_its_workflow_closes_the_session_first",
    ),
    bug(
        "refund-of-a-live-order-waits",
        Code("MoneyActivities.follow_money", "order is not None and order.status.is_live", "False"),
        breaks="an order refunded while its checkout decides would be fulfilled, its money gone",
        tests="test_money_given_back_while_its_checkout_decides_is_noticed_once_it_has",
    ),
)
