"""Stripe's test payment methods (docs.stripe.com/testing), and what becomes of a payment with each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """`declined` with this code."""

    declined: str | None = None


CARD = "pm_card_visa"
METHODS = {
    CARD: Method(),
    "pm_card_chargeDeclined": Method(declined="generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": Method(declined="insufficient_funds"),
}
