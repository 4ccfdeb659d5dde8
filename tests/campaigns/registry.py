"""Every boundary of gateway, worker, database and payment service: where it is, and what it covers.

The campaign in `tests/campaigns/chaos` walks `STEPS`; a test fails when an activity or a writing route is covered by no
step (`tests/unit/test_steps.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from runtime.failpoints import Boundary, Step


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
    "POST /payment_webhook/",
    "POST /admin/console/orders/{order_id}/settle",
    "POST /admin/console/orders/{order_id}/resend",
)
_REFUND = ("POST /admin/orders/{order_id}/refund", "POST /admin/console/orders/{order_id}/refund")
_STOCK = (
    "POST /admin/restock",
    "POST /admin/console/restock",
    "POST /admin/write-off",
    "POST /admin/console/write-off",
)
_CATALOGUE = (
    "PUT /admin/products/{sku}",
    "POST /admin/products/{sku}/withdraw",
    "POST /admin/products/{sku}/offer",
    "POST /admin/console/products/{sku}/{sale}",
)
STEPS: Mapping[Step, Place] = {
    Step.BUY: Place(Process.GATEWAY, CALL, _BUY),
    Step.START_CHECKOUT: Place(Process.GATEWAY, CALL, _BUY),
    Step.TAKE_EVENT: Place(Process.GATEWAY, CALL, _EVENT),
    Step.SIGNAL_PAYMENT: Place(Process.GATEWAY, CALL, _EVENT),
    Step.START_SETTLEMENT: Place(Process.GATEWAY, CALL, (*_EVENT, *_CANCEL)),
    Step.ASK_TO_CANCEL: Place(Process.GATEWAY, CALL, _CANCEL),
    Step.START_REFUND: Place(Process.GATEWAY, CALL, _REFUND),
    Step.CHANGE_STOCK: Place(Process.GATEWAY, TRANSACTION, _STOCK),
    Step.CHANGE_CATALOGUE: Place(Process.GATEWAY, TRANSACTION, _CATALOGUE),
    Step.OPEN_ORDER: Place(Process.WORKER, TRANSACTION, ("open_checkout",)),
    Step.FIND_ORDER: Place(Process.WORKER, CALL, ("find_order",)),
    Step.RECORD_SESSION: Place(Process.WORKER, TRANSACTION, ("open_checkout", "create_payment_session")),
    Step.PROCESS_ORDER: Place(Process.WORKER, TRANSACTION, ("process_order",)),
    Step.FULFIL_ORDER: Place(Process.WORKER, TRANSACTION, ("ask_provider", "fulfil_order")),
    Step.RELEASE_ORDER: Place(Process.WORKER, TRANSACTION, ("release_order",)),
    Step.RECORD_DEBT: Place(Process.WORKER, TRANSACTION, ("refund_payment",)),
    Step.REQUEST_REFUND: Place(Process.WORKER, TRANSACTION, ("request_refund",)),
    Step.RECORD_REFUND: Place(Process.WORKER, TRANSACTION, ("refund_payment", "make_refund")),
    Step.GIVE_UP_REFUND: Place(Process.WORKER, TRANSACTION, ("give_up_refund",)),
    Step.RECORD_MONEY: Place(Process.WORKER, TRANSACTION, ("follow_money",)),
    Step.DISPATCH_ORDER: Place(Process.WORKER, TRANSACTION, ("sweep_orders",)),
    Step.CREATE_AT_PROVIDER: Place(Process.WORKER, CALL, ("open_checkout", "create_payment_session")),
    Step.FIND_AT_PROVIDER: Place(Process.WORKER, CALL, ("open_checkout", "create_payment_session")),
    Step.RETRIEVE_AT_PROVIDER: Place(Process.WORKER, CALL, ("ask_provider", "retrieve_session")),
    Step.EXPIRE_AT_PROVIDER: Place(Process.WORKER, CALL, ("ask_provider", "expire_session")),
    Step.REFUND_AT_PROVIDER: Place(Process.WORKER, CALL, ("refund_payment", "make_refund")),
    Step.LOOK_AT_PAYMENT: Place(Process.WORKER, CALL, ("follow_money", "refund_payment")),
    Step.SWEEP: Place(Process.WORKER, CALL, ("sweep_orders",)),
    Step.HAND_TO_SETTLEMENT: Place(Process.WORKER, CALL, ("sweep_orders",)),
    Step.FOLLOW_PAYMENT: Place(Process.WORKER, CALL, ("sweep_orders",)),
    Step.HAND_ON_SESSION: Place(Process.WORKER, CALL, ("start_settlement",)),
}
