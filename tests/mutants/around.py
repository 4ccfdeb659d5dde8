"""Bugs planted around the story: the settlement, the sweep, and the adapter to the payment service."""

from tests.mutants.mutant import Mutant, mutant

_SETTLEMENT = "worker/workflows/settlement.py"
_ADAPTER = "worker/payments/stripe_adapter.py"
_SWEEP = "worker/activities/sweep.py"

_LATER = "tests/workflow/test_settlement.py"
_ADAPTER_GUARDS = "tests/integration/test_adapter_guards.py"
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
    mutant(
        "refund-at-the-provider-is-the-providers-word",
        "worker/activities/payments.py",
        "        if not await self._provider.is_refunded(request.payment_intent_id):",
        "        if False:",
        breaks="a redelivered event would end a fulfilled order as refunded, its money kept",
        tests=f"{_LATER}::test_a_redelivery_for_a_fulfilled_order_changes_nothing",
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
    mutant(
        "sweep-settles",
        _SWEEP,
        "            if order.checkout_key in running or await self._is_looked_after(order):",
        "            if True:",
        breaks="an order whose workflow was terminated would wait for ever",
        tests=f"{_SWEEP_GUARDS}::test_a_paid_order_whose_workflow_was_terminated_is_fulfilled",
    ),
    mutant(
        "sweep-leaves-alone",
        _SWEEP,
        "            if order.checkout_key in running or await self._is_looked_after(order):",
        "            if False:",
        breaks="each order would get a second workflow",
        tests=f"{_SWEEP_GUARDS}::test_an_order_that_is_looked_after_is_left_alone",
    ),
    mutant(
        "orphan-is-looked-at-first",
        _SETTLEMENT,
        "            self.look_first()\n",
        "",
        breaks="an orphaned order that was paid would wait for its deadline",
        tests=f"{_SWEEP_GUARDS}::test_a_paid_order_whose_workflow_was_terminated_is_fulfilled",
    ),
    mutant(
        "sweep-dispatches",
        _SWEEP,
        "        for order in overdue:\n            await self._dispatch(order)\n",
        "",
        breaks="a parcel whose workflow was terminated would never arrive",
        tests=f"{_SWEEP_GUARDS}::test_a_parcel_that_no_workflow_looks_after_arrives_all_the_same",
    ),
    mutant(
        "payment-status-of-the-adapter",
        _ADAPTER,
        'paid=session.payment_status == "paid"',
        'paid=session.status == "complete"',
        breaks="an unpaid order would ship",
        tests=f"{_ADAPTER_GUARDS}::test_complete_is_not_paid",
    ),
    mutant(
        "stuck-is-recognised",
        _ADAPTER,
        'headers.get("idempotent-replayed") == "true"',
        'headers.get("idempotent-replayed") == "never"',
        breaks="a stored 500 would be asked for ever",
        tests=f"{_ADAPTER_GUARDS}::test_a_stored_error_is_told_from_a_passing_one",
    ),
    mutant(
        "session-key-derived",
        _ADAPTER,
        '{"idempotency_key": session_idempotency_key(request.order_id)}',
        '{"idempotency_key": session_idempotency_key(request.order_id) + __import__("secrets").token_hex(4)}',
        breaks="each retry would open another payable session",
        tests=f"{_ADAPTER_GUARDS}::test_every_attempt_for_an_order_gets_the_same_session",
    ),
    mutant(
        "refund-key-derived",
        _ADAPTER,
        '{"idempotency_key": refund_idempotency_key(payment_intent_id)}',
        '{"idempotency_key": refund_idempotency_key(payment_intent_id) + __import__("secrets").token_hex(4)}',
        breaks="two refunds at once could both be made",
        tests=f"{_ADAPTER_GUARDS}::test_every_attempt_of_a_refund_carries_the_same_key",
    ),
    mutant(
        "already-complete-is-an-answer",
        _ADAPTER,
        "            return await self.retrieve_session(session_id)\n",
        "            raise\n",
        breaks="a payment at the deadline would leave its order stuck",
        tests=f"{_ADAPTER_GUARDS}::test_expiring_what_is_paid_says_so",
    ),
)
