"""Bugs planted where money comes late, and where what tells of it is odd."""

from tests.campaigns.mutants.mutant import Mutant, mutant

_NEWS = "worker/workflows/news.py"
_SETTLEMENT = "worker/workflows/settlement.py"
_ADAPTER = "worker/payments/stripe_adapter.py"

_EVENTS = "tests/integration/test_event_guards.py"
_ANSWERS = "tests/integration/test_adapter_answers.py"
_LATER = "tests/workflow/test_settlement.py"
_SWEEP = "tests/integration/test_sweep_guards.py"

LATE: tuple[Mutant, ...] = (
    mutant(
        "odd-session-ids-are-dropped",
        _NEWS,
        "        if not is_provider_id(session_id) and workflow.patched(IDS_ARE_CHECKED):",
        "        if False:",
        breaks="one signal with a long session id would stop a checkout for ever, its customer's money taken",
        tests=f"{_EVENTS}::test_a_session_id_that_can_be_none_does_not_stop_the_checkout",
    ),
    mutant(
        "repeats-are-counted",
        _NEWS,
        "        if self._signals >= policies.MAX_SIGNALS_PER_RUN and",
        "        if False and",
        breaks="after ten thousand repeats of an event Temporal would take no other",
        tests="tests/workflow/test_checkout.py::test_a_flood_of_repeats_continues_as_new_as_well",
    ),
    mutant(
        "own-session-is-asked-for-again",
        _SETTLEMENT,
        "            if session is None and self._is_own_id(settlement.session_id) and workflow.patched(OWN_IS_KNOWN):",
        "            if False:",
        breaks="with a wrong key for a moment, late money would be kept",
        tests=f"{_LATER}::test_an_ended_orders_own_session_is_not_taken_for_unknown",
    ),
    mutant(
        "event-names-the-order",
        "api/webhooks.py",
        "        order_id=order.order_id if order else None,",
        "        order_id=None,",
        breaks="the settlement could not tell an own session that the provider denies from a foreign one",
        tests=f"{_EVENTS}::test_money_for_an_ended_order_is_looked_for_though_the_provider_knows_nothing_of_its_session",
    ),
    mutant(
        "unknown-is-the-providers-word",
        _ADAPTER,
        "    if error.error is None:",
        "    if False:",
        breaks="a proxy's error page would reject orders, and drop events",
        tests=f"{_ANSWERS}::test_an_error_that_is_not_stripes_decides_nothing",
    ),
    mutant(
        "unknown-is-of-the-session",
        _ADAPTER,
        '    if status == 404 and code == "resource_missing":',
        "    if status == 404:",
        breaks="a wrong path in the address would make every session unknown",
        tests=f"{_ANSWERS}::test_only_stripes_own_word_makes_a_session_unknown",
    ),
    mutant(
        "a-refund-is-one-that-stands",
        _ADAPTER,
        "            _check_made(refund)\n",
        "            pass\n",
        breaks="an empty success, or a refund that failed, would end the order as refunded",
        tests=f"{_ANSWERS}::test_a_success_without_a_refund_that_stands_gives_nothing_back",
    ),
    mutant(
        "debts-are-written-down",
        "worker/activities/payments.py",
        "        if request.order_id is not None and request.reason is Reason.LATE_PAYMENT:",
        "        if False:",
        breaks="with its workflow lost, late money would be kept for ever",
        tests=f"{_SWEEP}::test_money_that_is_owed_for_an_ended_order_is_given_back_though_its_settlement_is_lost",
    ),
    mutant(
        "debts-are-looked-after",
        "worker/activities/sweep.py",
        "        for order in [*owing, *live]:",
        "        for order in live:",
        breaks="what is owed would be written down, and nobody would read it",
        tests=f"{_SWEEP}::test_money_that_is_owed_for_an_ended_order_is_given_back_though_its_settlement_is_lost",
    ),
)
