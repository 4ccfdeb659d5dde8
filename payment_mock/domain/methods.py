"""Stripe's test payment methods (docs.stripe.com/testing), and what becomes of a payment with each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """`declined` with that code. A payment that takes days is complete and unpaid first; `settles` is what it comes to
    (None: nobody knows yet). A refund has the status `refund`, and perhaps another later. `disputed` after a while."""

    type: str = "card"
    declined: str | None = None
    takes_days: bool = False
    settles: str | None = None
    refund: str = "succeeded"
    refund_later: str | None = None
    disputed: str | None = None


def _debit(settles: str | None) -> Method:
    return Method("us_bank_account", takes_days=True, settles=settles)


CARD = "pm_card_visa"
METHODS = {
    CARD: Method(),
    "pm_card_chargeDeclined": Method(declined="generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": Method(declined="insufficient_funds"),
    "pm_card_refundFail": Method(refund_later="failed"),
    "pm_card_pendingRefund": Method(refund="pending", refund_later="succeeded"),
    "pm_card_createDispute": Method(disputed="needs_response"),
    "pm_card_createDisputeInquiry": Method(disputed="warning_needs_response"),
    "pm_usBankAccount_success": _debit("succeeded"),
    "pm_usBankAccount_insufficientFunds": _debit("failed"),
    "pm_usBankAccount_processing": _debit(None),
}


def method(name: str | None) -> Method:
    return METHODS.get(name or CARD, METHODS[CARD])
