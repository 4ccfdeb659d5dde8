"""An order as steps: reserved → awaiting payment → paid → fulfilled → dispatched, or why it did not get there.

What is said of each is in `templates/words.html`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from api.schemas import OrderOut, TimelineEvent
from checkout.orders import OrderStatus, Reason

State = Literal["done", "now", "todo", "failed", "back"]

_WAY = ("reserved", "awaiting_payment", "payment_processing", "paid", "fulfilled", "dispatched")
_ENDS: dict[str, State] = {"rejected": "failed", "cancelled": "failed", "refunded": "back"}
_WAITS = (OrderStatus.AWAITING_PAYMENT, OrderStatus.PAYMENT_PROCESSING)


@dataclass(frozen=True)
class Step:
    """`reason`: why the order ended so."""

    kind: str
    state: State
    at: datetime | None = None
    reason: Reason | None = None


@dataclass(frozen=True)
class Story:
    """`seq`: the last event it knows of. `missing`: names of what could not be had. `is_owed`: money came that is not
    the shop's. `goes_back_whole`: all that it kept is on its way back. `is_over`: nothing more changes by itself."""

    steps: list[Step]
    seq: int
    missing: list[str]
    is_owed: bool
    goes_back_whole: bool
    is_over: bool
    fulfilled_at: datetime | None


def tell(order: OrderOut) -> Story:
    happened = {event.kind: event for event in order.timeline}
    missing = {sku for event in order.timeline for sku in event.data.get("skus", [])}
    is_owed, pending = order.payment.status == "refund_due", order.payment.refund_pending
    may_change = order.status.is_live or order.status is OrderStatus.FULFILLED or is_owed or pending > 0
    return Story(
        steps=_way(order, happened) + _end(order),
        seq=max((event.seq for event in order.timeline), default=0),
        missing=[line.name for line in order.lines if line.sku in missing],
        is_owed=is_owed,
        goes_back_whole=order.status.is_kept and 0 < pending == order.payment.kept,
        is_over=not may_change,
        fulfilled_at=happened["fulfilled"].at if "fulfilled" in happened else None,
    )


def _way(order: OrderOut, happened: Mapping[str, TimelineEvent]) -> list[Step]:
    """The steps gone, the one now, and those to come; an order that has ended has none to come."""
    steps = []
    may_go_on = order.status.is_live or order.status.is_kept
    ahead: State = "now"
    for kind in _WAY:
        at = happened[kind].at if kind in happened else None
        is_under_way = order.status in _WAITS and kind == order.status
        if at is not None and not is_under_way:
            steps.append(Step(kind, "done", at))
        elif may_go_on and (is_under_way or kind != OrderStatus.PAYMENT_PROCESSING):
            steps.append(Step(kind, ahead, at))
            ahead = "todo"
    return steps


def _end(order: OrderOut) -> list[Step]:
    """In the order in which they came: a cancelled order may be refunded later."""
    ends = []
    for event in order.timeline:
        if event.kind in _ENDS:
            reason = event.data.get("reason")
            known = Reason(reason) if reason in set(Reason) else None
            ends.append(Step(event.kind, _ENDS[event.kind], event.at, known))
    return ends
