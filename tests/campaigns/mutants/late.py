"""Bugs planted where money comes late, and where what tells of it is odd."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import Mutant, bug

LATE: tuple[Mutant, ...] = (
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
        "own-session-is-asked-for-again",
        Code("SettlementWorkflow._settle", "session is None and order.session is not None", "False"),
        breaks="with a wrong key for a moment, late money would be kept",
        tests="test_an_ended_orders_own_session_is_not_taken_for_unknown",
    ),
    bug(
        "event-names-the-order",
        Code("webhooks.deliver", "order.order_id if order else None", "None"),
        breaks="the settlement could not tell an own session that the provider denies from a foreign one",
        tests="test_money_for_an_ended_order_is_looked_for_though_the_provider_knows_nothing_of_its_session",
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
            "_REFUND_STATES[refund.status]",
            "_REFUND_STATES.get(refund.status, RefundState.SUCCEEDED)",
        ),
        breaks="an empty success, or a refund that failed, would end the order as refunded",
        tests="test_a_success_that_is_no_refund_gives_nothing_back",
    ),
    bug(
        "debts-are-written-down",
        Code("ledger.owe", "await plan_next_look(book)", "pass"),
        breaks="with its workflow lost, late money would be kept for ever",
        tests="test_money_that_is_owed_for_an_ended_order_is_given_back_though_its_settlement_is_lost",
    ),
    bug(
        "debts-are-looked-after",
        Code("sweep_orders", "await self._have_looked_at(payment, running)", "pass"),
        breaks="what is owed would be written down, and nobody would read it",
        tests="test_money_that_is_owed_for_an_ended_order_is_given_back_though_its_settlement_is_lost",
    ),
)
