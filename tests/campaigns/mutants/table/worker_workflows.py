"""Bugs planted in the workflows: the story, what they hear, what they do about it."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "nothing-gets-around-the-sandbox",
        Code(
            "worker.workflows.actions",
            "from worker import policies",
            "with workflow.unsafe.imports_passed_through():\n    from worker import policies",
        ),
        breaks="a clock in a helper that one workflow lets through would be seen by no test",
        tests="test_nothing_gets_around_the_sandbox",
    ),
    bug(
        "steps-are-named-only",
        Code("actions.find_order", "FindOrderInput(order_id)", "FindOrderInput(CheckoutActivities.__name__)"),
        breaks="a clock in what the steps are made of would be used by workflows, and seen by no test",
        tests="test_workflows_name_steps_and_use_nothing_else_that_passes_through_with_them",
    ),
    bug(
        "refused-look-is-no-answer",
        Code("actions._if_known", "PaymentUnknown.__name__", "'PaymentRefused'"),
        breaks="money that came late, while our key was refused, would be forgotten",
        tests="test_late_money_is_given_back_though_the_first_look_at_it_was_refused",
    ),
    bug(
        "stock-returns-without-a-session",
        Code(
            "actions._reject",
            "return await release(order, Reason.PAYMENT_UNAVAILABLE, OrderStatus.REJECTED)",
            "return order",
        ),
        breaks="a refused session would leave the stock reserved",
        tests="test_a_provider_that_refuses_for_good_ends_the_checkout_and_returns_the_stock",
    ),
    bug(
        "unfulfillable-is-refunded",
        Code("actions.fulfil", "return await _compensate(order, payment_intent_id)", "return order"),
        breaks="paid and without stock: the money would be kept",
        tests="test_a_paid_order_that_lost_its_reservation_is_refunded_once_and_remains_an_alarm",
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
        "customer-cancel-heard",
        Code("CheckoutWorkflow.cancel", "self.inbox.give_up(Reason.CUSTOMER)", "self.inbox.ask_first()"),
        breaks="a customer who gives up would wait for the deadline",
        tests="test_a_customer_who_cancels_gets_the_session_closed_before_the_stock_returns",
    ),
    bug(
        "no-chance-in-a-helper",
        Code("Inbox.hear", "is_provider_id(session_id)", "is_provider_id(__import__('secrets').token_hex())"),
        breaks="a checkout that moves to another worker would hand on another session",
        tests="test_todays_workflows_replay_the_history",
    ),
    bug(
        "other-sessions-are-handed-on-to-the-end",
        Code("Inbox.is_drained", "order.status.is_live or self._others(order)", "order.status.is_live"),
        breaks="a payment of another session, told in a checkout's last moment, would be kept",
        tests="test_a_fulfilled_order_is_not_drained_before_the_other_sessions_are_handed_on",
    ),
    bug(
        "other-sessions-are-handed-on-again",
        Code(
            "Inbox.hear",
            "self._sessions.add(session_id)",
            "session_id in self._event_ids or self._event_ids.add(session_id) or self._sessions.add(session_id)",
        ),
        breaks="a session that was unpaid when it was looked at would keep what is paid later",
        tests="test_one_that_was_complete_but_unpaid_and_is_paid_later",
    ),
    bug(
        "other-sessions-are-heard-of-in-a-flood",
        Code(
            "Inbox.hear",
            "not isinstance(event_id, str) or event_id in self._event_ids",
            "not isinstance(event_id, str) or event_id in self._event_ids"
            " or len(self._event_ids) >= policies.MAX_EVENTS_PER_RUN",
        ),
        breaks="the event after the five hundredth would be lost, whatever it tells of",
        tests="test_one_that_comes_after_a_flood",
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
        "late-news-is-looked-at",
        Code("Inbox.is_drained", "order.status.is_kept or order.session is None or not self.has_news", "True"),
        breaks="money that comes while the order is being closed would be kept",
        tests="test_money_that_comes_while_the_order_is_being_closed_goes_back_too",
    ),
    bug(
        "odd-session-ids-are-dropped",
        Code("Inbox.hear", "isinstance(session_id, str) and is_provider_id(session_id)", "isinstance(session_id, str)"),
        breaks="one signal with a long session id would stop a checkout for ever, its customer's money taken",
        tests="test_a_session_id_that_can_be_none_does_not_stop_the_checkout",
    ),
    bug(
        "repeats-are-counted",
        Code("Inbox._is_full", "self._signals >= policies.MAX_SIGNALS_PER_RUN", "False"),
        breaks="after ten thousand repeats of an event Temporal would take no other",
        tests="test_a_flood_of_repeats_continues_as_new_as_well",
    ),
    bug(
        "a-wish-to-give-up-is-over",
        Code("Inbox.carry_on", "self.closing = None", "pass"),
        breaks="a checkout whose payment takes days would ask the provider without a pause",
        tests="test_nobody_can_give_up_what_a_bank_is_paying",
    ),
    bug(
        "no-clock-in-a-helper",
        Code("Inbox.wait", "workflow.now() >= order.deadline", "__import__('datetime').datetime.now() is None"),
        breaks="a checkout that moves to another worker would decide its deadline anew",
        tests="test_todays_workflows_replay_the_history",
    ),
    bug(
        "one-order-in-every-process",
        Code("Inbox._others", "sorted(...)", "list(...)"),
        breaks="a checkout that moves to another worker would forget a session, and what was paid for it",
        tests="test_sessions_are_handed_on_once_and_in_an_order_that_every_process_repeats",
    ),
    bug(
        "a-long-history-ends",
        Code("Inbox._is_full", "is_flooded or workflow.info().is_continue_as_new_suggested()", "is_flooded"),
        breaks="a checkout with a long history would become slower and slower, and be ended by Temporal at last",
        tests="test_todays_workflows_replay_the_history",
    ),
    bug(
        "refund-at-the-provider-is-looked-for",
        Code("SettlementWorkflow._settle", "is_sale_over(order)", "False"),
        breaks="money given back in the provider's dashboard would leave the order fulfilled",
        tests="test_money_given_back_at_the_provider_ends_the_order_as_refunded",
    ),
    bug(
        "foreign-session-is-closed",
        Code(
            "SettlementWorkflow._look",
            "session is not None and not (order and order.owns(session.session_id))",
            "False",
        ),
        breaks="a payment of no order would be kept",
        tests="test_a_session_of_no_order_is_closed_and_its_money_given_back",
    ),
    bug(
        "second-session-is-not-the-orders",
        Code("SettlementWorkflow._look", "order and order.owns(session.session_id)", "order"),
        breaks="refunding a stray payment would end an order that goes well",
        tests="test_a_second_session_of_a_live_order_is_given_back_and_the_first_goes_on",
    ),
    bug(
        "orphan-without-session",
        Code("SettlementWorkflow._settle", "order.status is OrderStatus.PENDING", "False"),
        breaks="a session whose reply was lost with its workflow would stay payable",
        tests="test_an_order_orphaned_before_its_session_was_recorded_leaves_none_payable",
    ),
    bug(
        "orphan-is-looked-at-first",
        Code("SettlementWorkflow._see_through", "self.inbox.ask_first()", "None"),
        breaks="an orphaned order that was paid would wait for its deadline",
        tests="test_a_paid_order_whose_workflow_was_terminated_is_fulfilled",
    ),
    bug(
        "own-session-is-asked-for-again",
        Code("SettlementWorkflow._settle", "session is None and order.session is not None", "False"),
        breaks="with a wrong key for a moment, late money would be kept",
        tests="test_an_ended_orders_own_session_is_not_taken_for_unknown",
    ),
    bug(
        "shield",
        Code("shield.shielded", "workflow.wait([story])", "story"),
        breaks="a cancel in the UI would leave a payable session and reserved stock",
        tests="test_cancelled_in_the_ui_while_it_waits_settles_and_then_shows_as_cancelled",
    ),
)
