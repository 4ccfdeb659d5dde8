"""Bugs planted around the story: the settlement, the sweep, and the adapter to the payment service."""

from tests.campaigns.mutants.anchors import Code, Text
from tests.campaigns.mutants.mutant import Mutant, bug

AROUND: tuple[Mutant, ...] = (
    bug(
        "settlement-gives-late-money-back",
        Code("settling._unwanted", "session.paid and session.payment_intent_id is not None", "False"),
        breaks="money after the cancel would be kept",
        tests="test_money_after_the_cancel_is_given_back_once_however_often_it_is_told",
    ),
    bug(
        "settlement-keeps-what-was-fulfilled",
        Code(
            "settling.decide",
            "order.status.is_kept or order.status is OrderStatus.REFUNDED",
            "order.status is OrderStatus.REFUNDED",
        ),
        breaks="a redelivered event would refund a fulfilled order",
        tests="test_what_follows_from_the_providers_word",
    ),
    bug(
        "refund-at-the-provider-is-looked-for",
        Code("SettlementWorkflow._settle", "order.status.is_kept or order.status is OrderStatus.REFUNDED", "False"),
        breaks="money given back in the provider's dashboard would leave the order fulfilled",
        tests="test_money_given_back_at_the_provider_ends_the_order_as_refunded",
    ),
    bug(
        "refund-at-the-provider-is-the-providers-word",
        Code("consequences.finish_order", "book.succeeded == book.amount", "True"),
        breaks="a redelivered event would end a fulfilled order as refunded, its money kept",
        tests="test_a_redelivery_for_a_fulfilled_order_changes_nothing",
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
        "refused-look-is-no-answer",
        Code("actions._if_known", "PaymentUnknown.__name__", "'PaymentRefused'"),
        breaks="money that came late, while our key was refused, would be forgotten",
        tests="test_late_money_is_given_back_though_the_first_look_at_it_was_refused",
    ),
    bug(
        "orphan-without-session",
        Code("SettlementWorkflow._settle", "order.status is OrderStatus.PENDING", "False"),
        breaks="a session whose reply was lost with its workflow would stay payable",
        tests="test_an_order_orphaned_before_its_session_was_recorded_leaves_none_payable",
    ),
    bug(
        "sweep-settles",
        Code("sweep_orders", "await is_looked_after(self._client, orphan, running)", "True"),
        breaks="an order whose workflow was terminated would wait for ever",
        tests="test_a_paid_order_whose_workflow_was_terminated_is_fulfilled",
    ),
    bug(
        "sweep-leaves-alone",
        Code("sweep_orders", "await is_looked_after(self._client, orphan, running)", "False"),
        breaks="each order would get a second workflow",
        tests="test_an_order_that_is_looked_after_is_left_alone",
    ),
    bug(
        "orphan-is-looked-at-first",
        Code("SettlementWorkflow._see_through", "self.inbox.expect_news()", "None"),
        breaks="an orphaned order that was paid would wait for its deadline",
        tests="test_a_paid_order_whose_workflow_was_terminated_is_fulfilled",
    ),
    bug(
        "sweep-dispatches",
        Code("sweep_orders", "await warehouse.dispatch(self._engine, overdue=self._grace)", "0"),
        breaks="nothing would be dispatched if no worker's warehouse ran any more",
        tests="test_an_overdue_order_is_dispatched_by_the_sweep_as_well",
    ),
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
            "StripeProvider._refund_once",
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
        "only-payments-are-ours",
        Code("answers.state_of", "session.mode != 'payment'", "False"),
        breaks="each session of another kind in the account would leave a settlement that never ends",
        tests="test_a_session_that_is_not_for_a_payment_is_none_of_ours",
    ),
    bug(
        "sweep-knows-settlements-by-order",
        Code("ids.keepers_of", "[session_id, order_id]", "[session_id]"),
        breaks="an order would get a second settlement once the first has recorded its session",
        tests="test_an_order_whose_settlement_began_before_it_had_a_session_gets_no_second_one",
    ),
    bug(
        "sweep-lists-settlements",
        Text("keepers._RUNNING", "('CheckoutWorkflow', 'SettlementWorkflow')", "('CheckoutWorkflow')"),
        breaks="after a loss of Temporal's data no sweep would come to an end",
        tests="test_the_listing_shows_settlements_too",
    ),
    bug(
        "other-sessions-are-handed-on-to-the-end",
        Code("Inbox.is_done_with", "order.status.is_live or self._others(order)", "order.status.is_live"),
        breaks="a payment of another session, told in a checkout's last moment, would be kept",
        tests="test_a_fulfilled_order_is_not_done_with_before_the_other_sessions_are_handed_on",
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
        "running-settlement-is-told",
        Code("Starter.settlement", "[] if request.event_id is None else [request.event_id]", "['told']"),
        breaks="a settlement that has looked already would not look again",
        tests="test_one_that_is_paid_while_its_settlement_runs_on_what_it_saw_before",
    ),
)
