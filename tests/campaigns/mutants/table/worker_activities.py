"""Bugs planted in the activities, the sweep among them."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "beats-come-before-they-are-missed",
        Code("CheckoutActivities.create_payment_session", "limit / 5", "limit * 3"),
        breaks="a long look for a session would be cut short and begun anew for ever",
        tests="test_a_long_look_for_the_session_tells_in_time_that_it_lives",
    ),
    bug(
        "stuck-session-gets-another-key",
        Code("_obtain_session", "number == SESSION_KEYS", "True"),
        breaks="one stored error of the provider would lose the sale",
        tests="test_a_stored_error_under_the_first_key_leaves_the_session_to_the_second",
    ),
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
        "old-orders-are-looked-up",
        Code("_obtain_session", "datetime.now(UTC) - request.created_at > IDEMPOTENCY_KEY_LIFETIME", "False"),
        breaks="after a day the provider has forgotten the key and would open a second session",
        tests="test_an_order_older_than_the_providers_memory_is_looked_up_before_a_session_is_asked_for",
    ),
    bug(
        "at-once-is-not-for-ever",
        Code("CheckoutActivities.open_checkout", "_left('open its session', order, error)", "raise"),
        breaks="while a session cannot be had nobody would know of the order",
        tests="test_an_order_is_known_while_its_session_cannot_be_had_for_whatever_reason",
    ),
    bug(
        "paid-is-not-asked-again",
        Code("CheckoutActivities.ask_provider", "_left('fulfil it', order, error)", "raise"),
        breaks="while PostgreSQL is away, a paid order would depend on the provider's saying so again",
        tests="test_what_the_provider_has_said_is_not_asked_again_while_the_database_is_busy",
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
    bug(
        "refund-of-a-live-order-waits",
        Code("MoneyActivities.follow_money", "order is not None and order.status.is_live", "False"),
        breaks="an order refunded while its checkout decides would be fulfilled, its money gone",
        tests="test_money_given_back_while_its_checkout_decides_is_noticed_once_it_has",
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
        "sweep-dispatches",
        Code("sweep_orders", "await warehouse.dispatch(self._engine, overdue=self._grace)", "0"),
        breaks="nothing would be dispatched if no worker's warehouse ran any more",
        tests="test_an_overdue_order_is_dispatched_by_the_sweep_as_well",
    ),
    bug(
        "one-order-holds-up-no-other",
        Code(
            "SettlementActivities._apart",
            "await self._client.service_client.check_health(timeout=_HEALTH_TIMEOUT)",
            "raise",
        ),
        breaks="one order that cannot be asked about would keep every sweep from all others",
        tests=(
            "test_an_order_that_nobody_can_ask_about_holds_up_no_other",
            "test_an_order_that_cannot_be_handed_on_holds_up_no_other",
        ),
    ),
    bug(
        "a-sweep-without-temporal-fails",
        Code(
            "SettlementActivities._apart", "await self._client.service_client.check_health(timeout=_HEALTH_TIMEOUT)", ""
        ),
        breaks="while Temporal is away, a sweep that saw nobody would look like one that found all well",
        tests="test_with_temporal_away_the_sweep_fails_as_a_whole_and_is_tried_again",
    ),
    bug(
        "what-was-restored-ends",
        Code("sweep_orders", "await self._wake(without_live_order(running, live))", ""),
        breaks="after a restore of Temporal's store the audit would find fault with orders until their deadline",
        tests="test_a_checkout_that_was_restored_after_its_order_had_ended_ends_too",
    ),
    bug(
        "debts-are-looked-after",
        Code("sweep_orders", "await self._have_looked_at(payment, running)", "pass"),
        breaks="what is owed would be written down, and nobody would read it",
        tests="test_money_that_is_owed_for_an_ended_order_is_given_back_though_its_settlement_is_lost",
    ),
)
