"""Bugs planted in the workflows and their activities: the story and its care for what the platform does to it."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import Edit, Mutant, bug, mutant

_JOURNEY = "worker/workflows/journey.py"
_NEWS = "worker/workflows/news.py"
_CHECKOUT = "worker/workflows/checkout.py"

_STORY = "tests/workflow/test_checkout.py"
_TROUBLES = "tests/workflow/test_provider_troubles.py"
_GUARDS = "tests/workflow/test_journey_guards.py"


JOURNEYS = (
    mutant(
        "expire-first",
        _JOURNEY,
        "        else:\n            session = await run_step(\n                PaymentActivities.expire_session,",
        "        else:\n            await self._release(OrderStatus.CANCELLED, self._closing)\n"
        "            session = await run_step(\n                PaymentActivities.expire_session,",
        breaks="stock would go back while the session can still be paid",
        tests=f"{_GUARDS}::test_the_deadline_closes_the_session_while_the_stock_is_still_held",
    ),
    mutant(
        "expired-is-the-providers-word",
        _JOURNEY,
        "PaymentActivities.expire_session, session_id, policies.PROVIDER",
        "PaymentActivities.retrieve_session, session_id, policies.PROVIDER",
        breaks="a session past its deadline would stay payable",
        tests=f"{_STORY}::test_without_payment_the_deadline_closes_the_session_and_returns_the_stock",
    ),
    mutant(
        "provider-decides-not-the-event",
        _JOURNEY,
        "        if session.paid:\n            await self._accept(session)",
        "        if session.paid or self._closing is None:\n            await self._accept(session)",
        breaks="any event would fulfil",
        tests=f"{_STORY}::test_a_declined_card_is_not_the_end_and_a_later_payment_counts",
    ),
    mutant(
        "complete-is-not-paid",
        _JOURNEY,
        "        if session.paid:\n            await self._accept(session)",
        "        if session.status is SessionStatus.COMPLETE:\n            await self._accept(session)",
        breaks="an unpaid order would ship",
        tests=f"{_TROUBLES}::test_complete_but_unpaid_ships_nothing_and_ends_at_the_deadline",
    ),
    bug(
        "amount-compared",
        Code("SessionState.pays_for", "self.amount_total", "order.amount_total"),
        breaks="a cent would buy anything",
        tests="test_a_payment_that_is_not_the_one_agreed_is_given_back",
    ),
    bug(
        "currency-compared",
        Code("SessionState.pays_for", "self.currency", "order.currency"),
        breaks="1000 yen would pay for 10 dollars",
        tests="test_a_payment_that_is_not_the_one_agreed_is_given_back",
    ),
    bug(
        "order-compared",
        Code("SessionState.pays_for", "self.order_id", "order.order_id"),
        breaks="another order's payment would fulfil this one",
        tests="test_a_payment_that_is_not_the_one_agreed_is_given_back",
    ),
    mutant(
        "deadline-is-heard",
        _JOURNEY,
        "                    timeout=remaining,\n",
        "                    timeout=None,\n",
        breaks="an unpaid order would keep its stock for ever",
        tests=f"{_STORY}::test_a_payment_whose_webhook_never_comes_is_found_at_the_deadline",
    ),
    mutant(
        "deadline-closes",
        _JOURNEY,
        "workflow.now() >= self.order.expires_at:\n            self._closing = Reason.TIMEOUT",
        "workflow.now() >= self.order.expires_at:\n            self._closing = None",
        breaks="at the deadline nothing would end",
        tests=f"{_STORY}::test_without_payment_the_deadline_closes_the_session_and_returns_the_stock",
    ),
    mutant(
        "stock-returns-without-a-session",
        _JOURNEY,
        "            await self._release(OrderStatus.REJECTED, Reason.PAYMENT_UNAVAILABLE)\n",
        "            raise\n",
        breaks="a refused session would leave the stock reserved",
        tests=f"{_TROUBLES}::test_a_provider_that_refuses_for_good_ends_the_checkout_and_returns_the_stock",
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
        Code("FINAL_ERRORS", "PaymentStuck.__name__", ""),
        breaks="a stored 500 would be asked for ever",
        tests="test_a_provider_that_refuses_for_good_ends_the_checkout_and_returns_the_stock",
    ),
    bug(
        "old-orders-are-looked-up",
        Code("_obtain_session", "datetime.now(UTC) - created_at > IDEMPOTENCY_KEY_LIFETIME", "False"),
        breaks="after a day the provider has forgotten the key and would open a second session",
        tests="test_an_order_older_than_the_providers_memory_is_looked_up_before_a_session_is_asked_for",
    ),
    mutant(
        "shield",
        _CHECKOUT,
        "    @workflow.run\n    @shielded\n",
        "    @workflow.run\n",
        breaks="a cancel in the UI would leave a payable session and reserved stock",
        tests=f"{_STORY}::test_cancelled_in_the_ui_while_it_waits_settles_and_then_shows_as_cancelled",
    ),
    bug(
        "local-failure-goes-on",
        Code("steps.run_step", "FailureError", "ActivityError"),
        breaks="the first unanswered call would end the checkout",
        tests="test_a_provider_that_is_away_is_asked_until_it_answers",
    ),
    mutant(
        "signal-of-anything",
        _NEWS,
        "if not isinstance(event_id, str) or event_id in self._event_ids:",
        "if event_id in self._event_ids:",
        breaks="one odd signal would stop the checkout for ever",
        tests=f"{_STORY}::test_signals_that_cannot_be_decoded_or_are_unknown_do_not_stop_the_checkout",
    ),
    mutant(
        "events-deduplicated",
        _NEWS,
        "if not isinstance(event_id, str) or event_id in self._event_ids:",
        "if not isinstance(event_id, str):",
        breaks="a hundred copies of an event would be a hundred calls",
        tests=f"{_GUARDS}::test_an_event_told_again_is_not_looked_at_again",
    ),
    mutant(
        "continue-as-new",
        _NEWS,
        "        return is_long and self._closing in (None, Reason.TIMEOUT)",
        "        return False",
        breaks="after a flood of events no further one would be heard",
        tests=f"{_STORY}::test_a_flood_of_events_continues_as_new_and_loses_nothing",
    ),
    mutant(
        "late-money-goes-back",
        _JOURNEY,
        "if self.order.status in (OrderStatus.CANCELLED, OrderStatus.REJECTED):\n            await self._refund",
        "if False:\n            await self._refund",
        breaks="a payment for an order that another hand cancelled would be kept",
        tests=f"{_GUARDS}::test_a_payment_of_an_order_that_another_hand_cancelled_is_given_back",
    ),
    mutant(
        "unfulfillable-is-refunded",
        _JOURNEY,
        "            await self._refund(session, Reason.CANNOT_FULFIL)\n",
        "            pass\n",
        breaks="paid and without stock: the money would be kept",
        tests=f"{_TROUBLES}::test_paid_and_impossible_to_fulfil_is_refunded_once",
    ),
    mutant(
        "refusal-keeps-the-stock",
        _JOURNEY,
        'await workflow.sleep(policies.REFUSED_PAUSE, summary="The payment service refuses to answer")',
        "await self._release(OrderStatus.CANCELLED, Reason.OPERATOR)",
        breaks="a wrong API key would cancel orders that were paid",
        tests=f"{_TROUBLES}::test_a_provider_that_refuses_to_speak_of_the_session_is_asked_again_later",
    ),
    mutant(
        "run-has-its-cart",
        _CHECKOUT,
        "if order.fingerprint != self._checkout.fingerprint:",
        "if False:",
        breaks="a second run with another cart would take the first one's order over",
        tests=f"{_STORY}::test_a_second_run_with_another_cart_touches_nothing",
    ),
    mutant(
        "late-news-is-looked-at",
        _JOURNEY,
        "            await self.look_at_late_news()\n",
        "",
        breaks="money that comes while the order is being closed would be kept",
        tests=f"{_GUARDS}::test_money_that_comes_while_the_order_is_being_closed_goes_back_too",
    ),
    Mutant(
        "customer-cancel-heard",
        (Edit(_NEWS, "self._closing = self._closing or Reason.CUSTOMER", "self._has_news = True"),),
        "a customer who gives up would wait for the deadline",
        (f"{_STORY}::test_a_customer_who_cancels_gets_the_session_closed_before_the_stock_returns",),
    ),
    bug(
        "rejected-is-an-order-without-a-session",
        Code(
            "release_order",
            "[OrderStatus.PENDING] if is_rejected else [OrderStatus.PENDING, OrderStatus.AWAITING_PAYMENT]",
            "[OrderStatus.PENDING, OrderStatus.AWAITING_PAYMENT]",
        ),
        breaks="a refusal after the session was recorded would keep the order, payable and never looked at, for ever",
        tests="test_a_refusal_after_the_session_was_recorded_changes_nothing",
    ),
    bug(
        "a-long-look-tells-that-it-lives",
        Code("payments._beating", "asyncio.create_task(beat()) if is_regular else None", "None"),
        breaks="in a busy shop a refused session would be looked for again and again, its stock held",
        tests="test_a_long_look_for_the_session_is_not_taken_for_a_dead_worker",
    ),
)
