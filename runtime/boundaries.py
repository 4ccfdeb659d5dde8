"""The names of every boundary at which gateway and worker can be interrupted.

A boundary has a moment before anything happened, with a transaction also one where every statement has run and nothing
is committed, and a moment when it happened and nobody was told. What can be done there, `runtime.failpoints` does; what
each step covers, and whether anything is left uncovered, the campaigns know (`tests/campaigns/registry.py`).
"""

from enum import StrEnum


class Boundary(StrEnum):
    BEFORE = "before"
    """Nothing has happened yet."""
    BEFORE_COMMIT = "before_commit"
    """Every statement has run: locks are held, and nothing is visible to others."""
    AFTER = "after"
    """It happened, for ever; whoever asked for it does not know."""


class Step(StrEnum):
    """What can be interrupted. `CALL`s have two boundaries, transactions three."""

    # The gateway.
    BUY = "buy"
    START_CHECKOUT = "start_checkout"
    TAKE_EVENT = "take_event"
    SIGNAL_PAYMENT = "signal_payment"
    START_SETTLEMENT = "start_settlement"
    ASK_TO_CANCEL = "ask_to_cancel"
    START_REFUND = "start_refund"
    CHANGE_STOCK = "change_stock"
    CHANGE_CATALOGUE = "change_catalogue"
    # The worker and its database.
    OPEN_ORDER = "open_order"
    FIND_ORDER = "find_order"
    RECORD_SESSION = "record_session"
    PROCESS_ORDER = "process_order"
    FULFIL_ORDER = "fulfil_order"
    RELEASE_ORDER = "release_order"
    RECORD_DEBT = "record_debt"
    REQUEST_REFUND = "request_refund"
    RECORD_REFUND = "record_refund"
    GIVE_UP_REFUND = "give_up_refund"
    RECORD_MONEY = "record_money"
    DISPATCH_ORDER = "dispatch_order"
    # The worker and the payment service.
    CREATE_AT_PROVIDER = "create_at_provider"
    FIND_AT_PROVIDER = "find_at_provider"
    RETRIEVE_AT_PROVIDER = "retrieve_at_provider"
    EXPIRE_AT_PROVIDER = "expire_at_provider"
    REFUND_AT_PROVIDER = "refund_at_provider"
    LOOK_AT_PAYMENT = "look_at_payment"
    # The worker's sweep and Temporal.
    SWEEP = "sweep"
    HAND_TO_SETTLEMENT = "hand_to_settlement"
    FOLLOW_PAYMENT = "follow_payment"
    HAND_ON_SESSION = "hand_on_session"
