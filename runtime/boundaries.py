"""The one registry of every boundary at which gateway, worker, database and payment service can be interrupted.

A boundary has a moment before anything happened, with a transaction also one where every statement has run and nothing
is committed, and a moment when it happened and nobody was told. The campaign in `tests/campaigns/chaos` walks
`STEPS`, and fails
when an activity or a writing route is covered by no step. What can be done there, `runtime.failpoints` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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
    RESTOCK = "restock"
    # The worker and its database.
    OPEN_ORDER = "open_order"
    FIND_ORDER = "find_order"
    RECORD_SESSION = "record_session"
    FULFIL_ORDER = "fulfil_order"
    RELEASE_ORDER = "release_order"
    RECORD_DEBT = "record_debt"
    RECORD_REFUND = "record_refund"
    DISPATCH_ORDER = "dispatch_order"
    # The worker and the payment service.
    CREATE_AT_PROVIDER = "create_at_provider"
    FIND_AT_PROVIDER = "find_at_provider"
    RETRIEVE_AT_PROVIDER = "retrieve_at_provider"
    EXPIRE_AT_PROVIDER = "expire_at_provider"
    REFUND_AT_PROVIDER = "refund_at_provider"
    LOOK_FOR_REFUND = "look_for_refund"
    # The worker's sweep and Temporal.
    SWEEP = "sweep"
    HAND_TO_SETTLEMENT = "hand_to_settlement"
    HAND_ON_SESSION = "hand_on_session"


class Process(StrEnum):
    GATEWAY = "gateway"
    WORKER = "worker"


CALL = (Boundary.BEFORE, Boundary.AFTER)
TRANSACTION = (Boundary.BEFORE, Boundary.BEFORE_COMMIT, Boundary.AFTER)


@dataclass(frozen=True)
class Place:
    """Where a step runs, its boundaries, and what it covers: names of activities, or `METHOD path` of routes."""

    process: Process
    boundaries: tuple[Boundary, ...]
    covers: tuple[str, ...]


_BUY = ("POST /checkout", "POST /checkout/{key:path}")
_CANCEL = ("POST /orders/{order_id}/cancel", "POST /orders/{order_id}/view")
_EVENT = (
    "POST /payment_webhook",
    "POST /admin/console/orders/{order_id}/settle",
    "POST /admin/console/orders/{order_id}/resend",
)
_REFUND = ("POST /admin/orders/{order_id}/refund", "POST /admin/console/orders/{order_id}/refund")
_RESTOCK = ("POST /admin/restock", "POST /admin/console/restock")
STEPS: Mapping[Step, Place] = {
    Step.BUY: Place(Process.GATEWAY, CALL, _BUY),
    Step.START_CHECKOUT: Place(Process.GATEWAY, CALL, _BUY),
    Step.TAKE_EVENT: Place(Process.GATEWAY, CALL, _EVENT),
    Step.SIGNAL_PAYMENT: Place(Process.GATEWAY, CALL, _EVENT),
    Step.START_SETTLEMENT: Place(Process.GATEWAY, CALL, (*_EVENT, *_CANCEL)),
    Step.ASK_TO_CANCEL: Place(Process.GATEWAY, CALL, _CANCEL),
    Step.START_REFUND: Place(Process.GATEWAY, CALL, _REFUND),
    Step.RESTOCK: Place(Process.GATEWAY, TRANSACTION, _RESTOCK),
    Step.OPEN_ORDER: Place(Process.WORKER, TRANSACTION, ("open_order",)),
    Step.FIND_ORDER: Place(Process.WORKER, CALL, ("find_order",)),
    Step.RECORD_SESSION: Place(Process.WORKER, TRANSACTION, ("create_payment_session",)),
    Step.FULFIL_ORDER: Place(Process.WORKER, TRANSACTION, ("fulfil_order",)),
    Step.RELEASE_ORDER: Place(Process.WORKER, TRANSACTION, ("release_order",)),
    Step.RECORD_DEBT: Place(Process.WORKER, TRANSACTION, ("refund_payment",)),
    Step.RECORD_REFUND: Place(Process.WORKER, TRANSACTION, ("refund_payment", "notice_refund")),
    Step.DISPATCH_ORDER: Place(Process.WORKER, TRANSACTION, ("sweep_orders",)),
    Step.CREATE_AT_PROVIDER: Place(Process.WORKER, CALL, ("create_payment_session",)),
    Step.FIND_AT_PROVIDER: Place(Process.WORKER, CALL, ("create_payment_session",)),
    Step.RETRIEVE_AT_PROVIDER: Place(Process.WORKER, CALL, ("retrieve_session",)),
    Step.EXPIRE_AT_PROVIDER: Place(Process.WORKER, CALL, ("expire_session",)),
    Step.REFUND_AT_PROVIDER: Place(Process.WORKER, CALL, ("refund_payment",)),
    Step.LOOK_FOR_REFUND: Place(Process.WORKER, CALL, ("notice_refund",)),
    Step.SWEEP: Place(Process.WORKER, CALL, ("sweep_orders",)),
    Step.HAND_TO_SETTLEMENT: Place(Process.WORKER, CALL, ("sweep_orders",)),
    Step.HAND_ON_SESSION: Place(Process.WORKER, CALL, ("start_settlement",)),
}
