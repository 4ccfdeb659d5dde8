"""Every identifier has one named function: keys, order ids, workflow ids, provider idempotency keys.

A checkout's workflow id *is* its key, so a customer chooses it. All other workflow ids must therefore be impossible to
write as a key: they hold a `/`, which a key may not, or the one prefix refused in keys (`settle:`).
"""

import re
import secrets

from checkout.errors import InvalidKey

TASK_QUEUE = "checkout"
SWEEP_SCHEDULE_ID = "sweep/schedule"
SWEEP_WORKFLOW_ID = "sweep/run"

# The types of our workflows, as histories and searches have them.
CHECKOUT_WORKFLOW = "CheckoutWorkflow"
SETTLEMENT_WORKFLOW = "SettlementWorkflow"
REFUND_WORKFLOW = "RefundWorkflow"
SWEEP_WORKFLOW = "SweepWorkflow"

# 200 is what Stripe's `client_reference_id` holds. `re.ASCII` and `fullmatch`: no newline sneaks in at the end.
_KEY = re.compile(r"[A-Za-z0-9._~:-]{1,200}", re.ASCII)
_SETTLEMENT_PREFIX = "settle:"
# They become workflow ids and addresses: no NUL, no half of a surrogate pair, no slash.
_PROVIDER_ID = re.compile(r"[A-Za-z0-9_.:-]{1,255}", re.ASCII)


def parse_checkout_key(text: str) -> str:
    """The key as given. Raises `InvalidKey` unless it is 1 to 200 of `A-Z a-z 0-9 . _ ~ : -`."""
    if not _KEY.fullmatch(text) or text in {".", ".."}:
        raise InvalidKey("A checkout key is 1 to 200 characters out of A-Z a-z 0-9 . _ ~ : -")
    if text.startswith(_SETTLEMENT_PREFIX):
        raise InvalidKey(f"Checkout keys that begin with {_SETTLEMENT_PREFIX!r} are reserved")
    return text


def new_checkout_key() -> str:
    """A random key of 160 bits, for a customer who brings none."""
    return secrets.token_urlsafe(20)


def new_order_id() -> str:
    """An order id that cannot be guessed (128 random bits): knowing it is the permission to see the order."""
    return f"ord_{secrets.token_hex(16)}"


def is_provider_id(text: object) -> bool:
    """Whether it can be the id of an event or a session at the provider: at most 255 characters, as Stripe's are."""
    return isinstance(text, str) and bool(_PROVIDER_ID.fullmatch(text)) and text not in {".", ".."}


def settlement_workflow_id(subject: str) -> str:
    """`settle:<session id>`; the order's id stands in where there is no session yet, the payment's after the sale."""
    return f"{_SETTLEMENT_PREFIX}{subject}"


def is_settlement(workflow_id: str) -> bool:
    return workflow_id.startswith(_SETTLEMENT_PREFIX)


def workflow_ids_of_order(checkout_key: str, order_id: str, session_id: str | None) -> list[str]:
    """Ids of the workflows that may look after a live order: its checkout, or a settlement. One that began before there
    was a session goes on under the order's id."""
    subjects = [session_id, order_id] if session_id else [order_id]
    return [checkout_key, *(settlement_workflow_id(subject) for subject in subjects)]


# Keys of refunds that nobody named: no key of a caller's holds a `/`.
WHOLE_REFUND = "/whole"
OWED_REFUND = "/owed"


def new_refund_id() -> str:
    return f"rfd_{secrets.token_hex(16)}"


def refund_workflow_id(order_id: str, key: str = WHOLE_REFUND) -> str:
    """One a wish: `key` is the caller's, or `WHOLE_REFUND`."""
    return f"refund/{order_id}" if key == WHOLE_REFUND else f"refund/{order_id}/{key}"


def session_idempotency_key(order_id: str, number: int = 1) -> str:
    """One provider key an order: however often the session is asked for, one comes to be."""
    return _numbered(f"checkout-session/{order_id}", number)


def refund_idempotency_key(refund_id: str, number: int = 1) -> str:
    """One provider key a refund: it is made once, whoever asks and however often."""
    return _numbered(f"refund/{refund_id}", number)


def _numbered(key: str, number: int) -> str:
    """The next number is for when the provider repeats a stored error for the one before, and made nothing of it."""
    return key if number == 1 else f"{key}/{number}"
