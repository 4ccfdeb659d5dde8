"""An order's events in words, for the customer, the console and the command line alike."""

from collections.abc import Mapping
from typing import Any

from checkout.currencies import money

_WORDS = {
    "reserved": "The goods were set aside",
    "awaiting_payment": "The payment page was opened",
    "payment_processing": "The bank is making the payment, which may take some days",
    "paid": "The payment arrived",
    "fulfilled": "The goods belong to the customer",
    "dispatched": "The parcel has left",
    "rejected": "The order could not be taken",
    "cancelled": "The order was cancelled",
    "refunded": "All of the money was given back",
    "refund_requested": "{amount} is to be given back",
    "refund_given_up": "{amount} is not given back: nothing has moved",
    "refund_pending": "{amount} is on its way back to the customer",
    "refund_succeeded": "{amount} was given back",
    "refund_failed": "A refund of {amount} failed: the money came back to the shop",
    "refund_cancelled": "A refund of {amount} was cancelled",
    "dispute_opened": "The customer's bank disputes {amount}",
    "dispute_updated": "The dispute over {amount} has moved on",
    "dispute_won": "The dispute over {amount} was won: the shop keeps the money",
    "dispute_lost": "The dispute over {amount} was lost: the bank has taken the money back",
    "dispute_closed": "The bank's inquiry about {amount} was closed",
}


def event_text(kind: str, data: Mapping[str, Any], currency: str) -> str:
    """A kind without words of its own is its name."""
    amount = data.get("amount")
    told = money(amount, currency) if isinstance(amount, int) else "the money"
    text = _WORDS.get(kind, kind.replace("_", " ")).format(amount=told)
    return text[:1].upper() + text[1:]
