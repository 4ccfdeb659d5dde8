"""Bugs planted around the story: the settlement, the sweep, and the adapter to the payment service."""

from tests.campaigns.mutants.anchors import Code, Text
from tests.campaigns.mutants.mutant import Mutant, bug, mutant

_SETTLEMENT = "worker/workflows/settlement.py"

_OTHERS = "tests/workflow/test_other_sessions.py"
_LATER = "tests/workflow/test_settlement.py"
_SWEEP_GUARDS = "tests/integration/test_sweep_guards.py"

AROUND: tuple[Mutant, ...] = (
    mutant(
        "settlement-gives-late-money-back",
        _SETTLEMENT,
        "        elif not self.order.status.is_kept:",
        "        elif False:",
        breaks="money after the cancel would be kept",
        tests=f"{_LATER}::test_money_after_the_cancel_is_given_back_once_however_often_it_is_told",
    ),
    mutant(
        "settlement-keeps-what-was-fulfilled",
        _SETTLEMENT,
        "        elif not self.order.status.is_kept:",
        "        elif True:",
        breaks="a redelivered event would refund a fulfilled order",
        tests=f"{_LATER}::test_a_redelivery_for_a_fulfilled_order_changes_nothing",
    ),
    mutant(
        "refund-at-the-provider-is-looked-for",
        _SETTLEMENT,
        '        elif workflow.patched("refunded-at-the-provider"):',
        "        elif False:",
        breaks="money given back in the provider's dashboard would leave the order fulfilled",
        tests=f"{_LATER}::test_money_given_back_at_the_provider_ends_the_order_as_refunded",
    ),
    bug(
        "refund-at-the-provider-is-the-providers-word",
        Code("notice_refund", "not await self._provider.is_refunded(request.payment_intent_id)", "False"),
        breaks="a redelivered event would end a fulfilled order as refunded, its money kept",
        tests="test_a_redelivery_for_a_fulfilled_order_changes_nothing",
    ),
    mutant(
        "foreign-session-is-closed",
        _SETTLEMENT,
        "        if session is not None and not self._is_own(session):",
        "        if False:",
        breaks="a payment of no order would be kept",
        tests=f"{_LATER}::test_a_session_of_no_order_is_closed_and_its_money_given_back",
    ),
    mutant(
        "second-session-is-not-the-orders",
        _SETTLEMENT,
        "Reason.LATE_PAYMENT, is_own=self._is_own(session))",
        "Reason.LATE_PAYMENT)",
        breaks="refunding a stray payment would end an order that goes well",
        tests=f"{_LATER}::test_a_second_session_of_a_live_order_is_given_back_and_the_first_goes_on",
    ),
    mutant(
        "refused-look-is-no-answer",
        _SETTLEMENT,
        '                "Look at the payment session",\n                unless=PaymentUnknown.__name__,\n',
        '                "Look at the payment session",\n                unless="PaymentRefused",\n',
        breaks="money that came late, while our key was refused, would be forgotten",
        tests="tests/workflow/test_journey_guards.py::"
        "test_late_money_is_given_back_though_the_first_look_at_it_was_refused",
    ),
    mutant(
        "orphan-without-session",
        _SETTLEMENT,
        "            if order.status is OrderStatus.PENDING:\n                await self.open_payment_session()\n",
        "            pass\n",
        breaks="a session whose reply was lost with its workflow would stay payable",
        tests=f"{_LATER}::test_an_order_orphaned_before_its_session_was_recorded_leaves_none_payable",
    ),
    bug(
        "sweep-settles",
        Code("sweep_orders", "await self._is_looked_after(order, running)", "True"),
        breaks="an order whose workflow was terminated would wait for ever",
        tests="test_a_paid_order_whose_workflow_was_terminated_is_fulfilled",
    ),
    bug(
        "sweep-leaves-alone",
        Code("sweep_orders", "await self._is_looked_after(order, running)", "False"),
        breaks="each order would get a second workflow",
        tests="test_an_order_that_is_looked_after_is_left_alone",
    ),
    mutant(
        "orphan-is-looked-at-first",
        _SETTLEMENT,
        "            self.look_first()\n",
        "",
        breaks="an orphaned order that was paid would wait for its deadline",
        tests=f"{_SWEEP_GUARDS}::test_a_paid_order_whose_workflow_was_terminated_is_fulfilled",
    ),
    bug(
        "sweep-dispatches",
        Code("sweep_orders", "for order in overdue: ...", ""),
        breaks="a parcel whose workflow was terminated would never arrive",
        tests="test_a_parcel_that_no_workflow_looks_after_arrives_all_the_same",
    ),
    bug(
        "payment-status-of-the-adapter",
        Code("stripe_adapter._state", "session.payment_status == 'paid'", "session.status == 'complete'"),
        breaks="an unpaid order would ship",
        tests="test_complete_is_not_paid",
    ),
    bug(
        "stuck-is-recognised",
        Code("stripe_adapter._sorted", "'true'", "'never'"),
        breaks="a stored 500 would be asked for ever",
        tests="test_a_stored_error_is_told_from_a_passing_one",
    ),
    bug(
        "session-key-derived",
        Code(
            "StripeProvider.create_session",
            "session_idempotency_key(request.order_id)",
            "session_idempotency_key(request.order_id) + __import__('secrets').token_hex(4)",
        ),
        breaks="each retry would open another payable session",
        tests="test_every_attempt_for_an_order_gets_the_same_session",
    ),
    bug(
        "refund-key-derived",
        Code(
            "StripeProvider.refund",
            "refund_idempotency_key(payment_intent_id)",
            "refund_idempotency_key(payment_intent_id) + __import__('secrets').token_hex(4)",
        ),
        breaks="two refunds at once could both be made",
        tests="test_every_attempt_of_a_refund_carries_the_same_key",
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
        Code("stripe_adapter._state", "session.mode != 'payment'", "False"),
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
        Text("_running_workflows", "('CheckoutWorkflow', 'SettlementWorkflow')", "('CheckoutWorkflow')"),
        breaks="after a loss of Temporal's data no sweep would come to an end",
        tests="test_what_the_listing_shows_is_not_asked_for_one_by_one",
    ),
    mutant(
        "other-sessions-are-handed-on-to-the-end",
        "worker/workflows/journey.py",
        "            if not (self._other_sessions and workflow.patched(EVERY_EVENT_COUNTS)):\n",
        "            if True:\n",
        breaks="a payment of another session, told in a checkout's last moment, would be kept",
        tests=f"{_OTHERS}::test_one_that_comes_while_the_last_news_are_looked_at",
    ),
    mutant(
        "other-sessions-are-handed-on-again",
        "worker/workflows/news.py",
        "            self._handed_on.discard(session_id)\n",
        "            pass\n",
        breaks="a session that was unpaid when it was looked at would keep what is paid later",
        tests=f"{_OTHERS}::test_one_that_was_complete_but_unpaid_and_is_paid_later",
    ),
    mutant(
        "other-sessions-are-heard-of-in-a-flood",
        "worker/workflows/news.py",
        "        elif not workflow.patched(EVERY_EVENT_COUNTS):",
        "        else:",
        breaks="the event after the five hundredth would be lost, whatever it tells of",
        tests=f"{_OTHERS}::test_one_that_comes_after_a_flood",
    ),
    mutant(
        "running-settlement-is-told",
        "worker/workflows/children.py",
        '            await running.signal("payment_event"',
        '            workflow.logger.info("%s %s", running',
        breaks="a settlement that has looked already would not look again",
        tests=f"{_OTHERS}::test_one_that_is_paid_while_its_settlement_runs_on_what_it_saw_before",
    ),
    mutant(
        "old-checkouts-decide-as-they-did",
        "worker/workflows/news.py",
        "        if session_id in self._handed_on and workflow.patched(EVERY_EVENT_COUNTS):",
        "        if session_id in self._handed_on:",
        breaks="a checkout that waits during the upgrade would stop with a nondeterminism error",
        tests="tests/replay/test_replay.py::test_todays_workflows_replay_the_history",
    ),
)
