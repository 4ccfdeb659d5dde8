"""Stripe's test payment methods that the simulator knows (docs.stripe.com/testing): what comes of a payment by each."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Method:
    """What `says` tells a visitor. `declined` with that code, at once.

    A payment that `takes_days` is complete and unpaid first; `settles` is what it comes to, `succeeded` or `failed`
    with the code `fails` (None: nobody knows yet). A refund has the status `refund`, and perhaps another later. Paid,
    it is `disputed` after a while with that status, for that `reason`.
    """

    says: str
    type: str = "card"
    number: str | None = None
    declined: str | None = None
    takes_days: bool = False
    settles: str | None = None
    fails: str = "insufficient_funds"
    refund: str = "succeeded"
    refund_later: str | None = None
    disputed: str | None = None
    reason: str = "fraudulent"


def _card(number: str, says: str, **what: Any) -> Method:
    return Method(says, number=number, **what)


def _debit(says: str, settles: str | None, type_: str = "us_bank_account", **what: Any) -> Method:
    return Method(says, type_, takes_days=True, settles=settles, **what)


# A dispute of a debit is lost as soon as it is opened: the bank has taken the money back for good.
_TAKEN_BACK = {"disputed": "lost", "reason": "debit_not_authorized"}

CARD, DECLINED, UNDER_WAY = "pm_card_visa", "pm_card_chargeDeclined", "pm_usBankAccount_processing"
METHODS = {
    CARD: _card("4242 4242 4242 4242", "pays"),
    DECLINED: _card("4000 0000 0000 0002", "is declined", declined="generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": _card(
        "4000 0000 0000 9995", "has insufficient funds", declined="insufficient_funds"
    ),
    "pm_card_refundFail": _card("4000 0000 0000 5126", "pays; a refund fails later", refund_later="failed"),
    "pm_card_pendingRefund": _card(
        "4000 0000 0000 7726", "pays; a refund takes a while", refund="pending", refund_later="succeeded"
    ),
    "pm_card_createDispute": _card("4000 0000 0000 0259", "pays; then disputes it", disputed="needs_response"),
    "pm_card_createDisputeProductNotReceived": _card(
        "4000 0000 0000 2685", "pays; then says none came", disputed="needs_response", reason="product_not_received"
    ),
    "pm_card_createDisputeInquiry": _card(
        "4000 0000 0000 1976", "pays; then its bank inquires", disputed="warning_needs_response"
    ),
    "pm_usBankAccount_success": _debit("succeeds", "succeeded"),
    "pm_usBankAccount_insufficientFunds": _debit("fails: insufficient funds", "failed"),
    "pm_usBankAccount_accountClosed": _debit("fails: account closed", "failed", fails="account_closed"),
    "pm_usBankAccount_dispute": _debit("succeeds; then is taken back", "succeeded", **_TAKEN_BACK),
    UNDER_WAY: _debit("stays under way", None),
    "pm_success_de": _debit("succeeds", "succeeded", "sepa_debit"),
    "pm_failed_de": _debit("fails: insufficient funds", "failed", "sepa_debit"),
    "pm_disputed_de": _debit("succeeds; then is taken back", "succeeded", "sepa_debit", **_TAKEN_BACK),
}
# The currency that a debit is in; cards take every one.
_ONLY_IN = {"us_bank_account": "usd", "sepa_debit": "eur"}


def method(name: str | None) -> Method:
    return METHODS.get(name or CARD, METHODS[CARD])


def takes(type_: str, currency: str) -> bool:
    """Whether methods of the type can pay in the currency."""
    return _ONLY_IN.get(type_, currency) == currency


def offered(currency: str) -> tuple[str, ...]:
    """What the dashboard of this account has switched on, for a shop that does not say."""
    return tuple(type_ for type_ in ("card", *_ONLY_IN) if takes(type_, currency))
