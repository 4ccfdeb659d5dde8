"""Bugs planted where money goes back after the sale: at the gateway, the command line and the payment service."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import bug

AFTER_SALE = (
    bug(
        "refund-key-is-of-one-wish",
        Code("Orders.refund", "await self._check_wish(wanted)", ""),
        breaks="who sends another refund under a key at work would be told that it was made",
        tests="test_a_key_stands_for_one_refund_also_while_it_is_being_made",
    ),
    bug(
        "part-of-a-refund-needs-a-key",
        Code("refund_wish", "key is None and (asked.amount is not None or asked.lines is not None)", "False"),
        breaks="a second part that an operator gives back would be taken for a repeat of the first",
        tests="test_a_part_needs_a_key_for_a_second_one_could_not_be_told_from_a_repeat",
    ),
    bug(
        "goods-stay-away-when-told-so",
        Code("refund_wish", "asked.restock", "None"),
        breaks="broken goods would be sold again",
        tests="test_lines_are_passed_on_as_they_were_named",
    ),
    bug(
        "refund-is-repeated-under-its-key",
        Code("Shop._insist", "{'Idempotency-Key': key}", "{}"),
        breaks="a refund whose reply was lost would be refused, or made twice",
        tests="test_a_refund_that_is_not_answered_yet_is_asked_for_again_under_the_same_key",
    ),
    bug(
        "evidence-is-the-operators",
        Code("order_views.order_out", "OrderOut.model_validate", "OperatorOrder.model_validate"),
        breaks="a customer could read why and until when their bank is answered",
        tests="test_a_customer_is_told_less_of_a_dispute_and_of_refusals_than_an_operator",
    ),
    bug(
        "debit-that-failed-is-not-paid",
        Code("domain.payments.settle", "session.is_processing and status == 'failed'", "False"),
        breaks="the simulator's debits would never fail",
        tests="test_a_payment_that_takes_days_is_complete_at_once_and_paid_or_failed_later",
    ),
)
