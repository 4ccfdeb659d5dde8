"""Bugs planted in the workflows and their activities: the story and its care for what the platform does to it."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import bug

JOURNEYS = (
    bug(
        "expire-first",
        Code("CheckoutActivities.ask_provider", "self.expire_session", "self.retrieve_session"),
        Code(
            "settling.decide",
            "Close(session.session_id) if closing else Wait()",
            "Release(closing) if closing else Wait()",
        ),
        breaks="stock would go back while the session can still be paid",
        tests="test_without_payment_the_deadline_closes_the_session_and_returns_the_stock",
    ),
    bug(
        "expired-is-the-providers-word",
        Code(
            "settling.decide",
            "Close(session.session_id) if closing else Wait()",
            "Release(closing) if closing else Wait()",
        ),
        breaks="stock would go back for a session that can still be paid",
        tests="test_what_follows_from_the_providers_word",
    ),
    bug(
        "provider-decides-not-the-event",
        Code("settling.decide", "session.paid", "session.paid or closing is None"),
        breaks="any event would fulfil",
        tests="test_what_follows_from_the_providers_word",
    ),
    bug(
        "complete-is-not-paid",
        Code("settling.decide", "session.paid", "session.status is SessionStatus.COMPLETE"),
        breaks="an unpaid order would ship",
        tests="test_what_follows_from_the_providers_word",
    ),
    bug(
        "amount-compared",
        Code("settling._is_as_agreed", "session.amount_total", "order.amount_total"),
        breaks="a cent would buy anything",
        tests="test_a_payment_that_is_not_the_one_agreed_is_given_back",
    ),
    bug(
        "currency-compared",
        Code("settling._is_as_agreed", "session.currency", "order.currency"),
        breaks="1000 yen would pay for 10 dollars",
        tests="test_a_payment_that_is_not_the_one_agreed_is_given_back",
    ),
    bug(
        "order-compared",
        Code("settling._is_as_agreed", "session.order_id", "order.order_id"),
        breaks="another order's payment would fulfil this one",
        tests="test_a_payment_that_is_not_the_one_agreed_is_given_back",
    ),
    bug(
        "deadline-is-heard",
        Code(
            "Inbox.wait",
            "workflow.wait_condition(lambda: self.has_news or self.closing is not None,"
            " timeout=remaining, timeout_summary='Payment deadline')",
            "workflow.wait_condition(lambda: self.has_news or self.closing is not None)",
        ),
        breaks="an unpaid order would keep its stock for ever",
        tests="test_a_payment_whose_webhook_never_comes_is_found_at_the_deadline",
    ),
    bug(
        "deadline-closes",
        Code("Inbox.wait", "self.give_up(Reason.TIMEOUT)", "None"),
        breaks="at the deadline nothing would end",
        tests="test_without_payment_the_deadline_closes_the_session_and_returns_the_stock",
    ),
    bug(
        "stock-returns-without-a-session",
        Code(
            "actions._give_up_session",
            "return await release(order, Reason.PAYMENT_UNAVAILABLE, OrderStatus.REJECTED)",
            "return order",
        ),
        breaks="a refused session would leave the stock reserved",
        tests="test_a_provider_that_refuses_for_good_ends_the_checkout_and_returns_the_stock",
    ),
    bug(
        "refusal-is-not-proof",
        Code("_obtain_session", "(PaymentRefused, PaymentStuck)", "PaymentStuck"),
        breaks="stock would go back while a session whose reply was lost can be paid",
        tests="test_a_refusal_is_believed_only_when_no_session_is_found",
    ),
    bug(
        "stuck-is-looked-up",
        Code("_obtain_session", "(PaymentRefused, PaymentStuck)", "PaymentRefused"),
        breaks="a stored 500 would hide the session that exists",
        tests="test_a_session_that_exists_in_spite_of_the_refusal_is_found_and_used",
    ),
    bug(
        "stuck-is-final",
        Code("FINAL_ERRORS", "errors.PaymentStuck.__name__", ""),
        breaks="a stored 500 would be asked for ever",
        tests="test_a_provider_that_refuses_for_good_ends_the_checkout_and_returns_the_stock",
    ),
    bug(
        "old-orders-are-looked-up",
        Code("_obtain_session", "datetime.now(UTC) - request.created_at > IDEMPOTENCY_KEY_LIFETIME", "False"),
        breaks="after a day the provider has forgotten the key and would open a second session",
        tests="test_an_order_older_than_the_providers_memory_is_looked_up_before_a_session_is_asked_for",
    ),
    bug(
        "shield",
        Code("shield.shielded", "workflow.wait([story])", "story"),
        breaks="a cancel in the UI would leave a payable session and reserved stock",
        tests="test_cancelled_in_the_ui_while_it_waits_settles_and_then_shows_as_cancelled",
    ),
    bug(
        "local-failure-goes-on",
        Code("steps.run_step", "FailureError", "ActivityError"),
        breaks="the first unanswered call would end the checkout",
        tests="test_a_provider_that_is_away_is_asked_until_it_answers",
    ),
    bug(
        "signal-of-anything",
        Code(
            "Inbox.hear", "not isinstance(event_id, str) or event_id in self._event_ids", "event_id in self._event_ids"
        ),
        breaks="one odd signal would stop the checkout for ever",
        tests="test_signals_that_cannot_be_decoded_or_are_unknown_do_not_stop_the_checkout",
    ),
    bug(
        "events-deduplicated",
        Code(
            "Inbox.hear",
            "not isinstance(event_id, str) or event_id in self._event_ids",
            "not isinstance(event_id, str)",
        ),
        breaks="a hundred copies of an event would be a hundred calls",
        tests="test_an_event_told_again_is_not_looked_at_again",
    ),
    bug(
        "continue-as-new",
        Code("Inbox._is_full", "is_long and self.closing in (None, Reason.TIMEOUT)", "False"),
        breaks="after a flood of events no further one would be heard",
        tests="test_a_flood_of_events_continues_as_new_and_loses_nothing",
    ),
    bug(
        "late-money-goes-back",
        Code("settling.decide", "if not order.status.is_live: ...", "pass"),
        Code("actions.fulfil", "fulfilled.status in (OrderStatus.CANCELLED, OrderStatus.REJECTED)", "False"),
        breaks="a payment for an order that another hand cancelled would be kept",
        tests="test_a_payment_of_an_order_that_another_hand_cancelled_is_given_back",
    ),
    bug(
        "unfulfillable-is-refunded",
        Code("actions.fulfil", "return await _undo(order, payment_intent_id, Reason.CANNOT_FULFIL)", "return order"),
        breaks="paid and without stock: the money would be kept",
        tests="test_a_paid_order_that_lost_its_reservation_is_refunded_once_and_remains_an_alarm",
    ),
    bug(
        "refusal-keeps-the-stock",
        Code(
            "settling.decide",
            "Wait() if order is not None and order.status.is_live else Nothing()",
            "Release(Reason.OPERATOR)",
        ),
        breaks="a wrong API key would cancel orders that were paid",
        tests="test_what_follows_from_the_providers_word",
    ),
    bug(
        "run-has-its-cart",
        Code("actions.open_order", "opened.order.fingerprint != checkout.fingerprint", "False"),
        breaks="a second run with another cart would take the first one's order over",
        tests="test_a_second_run_with_another_cart_touches_nothing",
    ),
    bug(
        "second-run-asks-first",
        Code("CheckoutWorkflow.run", "not opened.is_new", "False"),
        breaks="money that came while nobody listened would be seen only at the deadline",
        tests="test_a_second_run_of_a_key_finds_the_order_and_goes_on_with_it",
    ),
    bug(
        "at-once-is-not-for-ever",
        Code("CheckoutActivities.open_checkout", "_left('opened its session', order, error)", "raise"),
        breaks="while a session cannot be had nobody would know of the order",
        tests="test_an_order_is_known_while_its_session_cannot_be_had_for_whatever_reason",
    ),
    bug(
        "paid-is-not-asked-again",
        Code("CheckoutActivities.ask_provider", "_left('fulfilled it', order, error)", "raise"),
        breaks="while PostgreSQL is away, a paid order would depend on the provider's saying so again",
        tests="test_what_the_provider_has_said_is_not_asked_again_while_the_database_is_busy",
    ),
    bug(
        "late-news-is-looked-at",
        Code("Inbox.is_done_with", "order.status.is_kept or order.session is None or not self.has_news", "True"),
        breaks="money that comes while the order is being closed would be kept",
        tests="test_money_that_comes_while_the_order_is_being_closed_goes_back_too",
    ),
    bug(
        "customer-cancel-heard",
        Code("CheckoutWorkflow.cancel", "self.inbox.give_up(Reason.CUSTOMER)", "self.inbox.expect_news()"),
        breaks="a customer who gives up would wait for the deadline",
        tests="test_a_customer_who_cancels_gets_the_session_closed_before_the_stock_returns",
    ),
    bug(
        "rejected-is-an-order-without-a-session",
        Code(
            "release_order",
            "[OrderStatus.PENDING] if request.status is OrderStatus.REJECTED else LIVE",
            "LIVE",
        ),
        breaks="a refusal after the session was recorded would keep the order, payable and never looked at, for ever",
        tests="test_a_refusal_after_the_session_was_recorded_changes_nothing",
    ),
)
