"""An order as its customer sees it. The id is the permission: it cannot be guessed."""

from collections.abc import AsyncIterable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.problems import declared
from api.schemas import CancelAnswer, OrderOut, TimelineEvent
from api.state import GatewayDependency
from checkout.errors import OrderNotFound
from checkout.orders import Reason

router = APIRouter()

_MAX_SEQ = 2**31 - 1
_RETRY = 1000  # milliseconds until a browser connects again
_CANCEL_PROBLEMS = declared(
    {
        409: "The order has ended otherwise: it was paid, say.",
        503: "The provider has not confirmed yet, or PostgreSQL or Temporal is away; repeating is safe.",
    }
)


@router.get("/orders/{order_id}", tags=["orders"], response_model=OrderOut)
async def order(order_id: str, gateway: GatewayDependency) -> OrderOut:
    """Status, lines, payment, dispatch and the timeline."""
    return await gateway.orders.show(order_id)


async def _resume_point(
    order_id: str,
    gateway: GatewayDependency,
    last_event_id: Annotated[str | None, Header()] = None,
    after: Annotated[
        int, Query(ge=0, le=_MAX_SEQ, description="Begin after this event; a resumed stream knows better")
    ] = 0,
) -> int:
    """Where a stream begins. Raises `OrderNotFound` before it does: an order has a first event or does not exist."""
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 12:
        after = min(int(last_event_id), _MAX_SEQ)
    if not await gateway.events.read(order_id, 0):
        raise OrderNotFound
    return after


@router.get("/orders/{order_id}/events", tags=["orders"], response_class=EventSourceResponse)
async def order_events(
    order_id: str, gateway: GatewayDependency, after: Annotated[int, Depends(_resume_point)]
) -> AsyncIterable[ServerSentEvent]:
    """The timeline live. Resume after the last event seen with `Last-Event-ID`; ends with the order.

    A stream that resumes after the end stays open for what may still come, a refund.
    """
    yield ServerSentEvent(comment="live", retry=_RETRY)
    async for event in gateway.events.stream(order_id, after):
        data = TimelineEvent(seq=event.seq, kind=event.kind, at=event.at, data=event.data)
        yield ServerSentEvent(event=event.kind, id=str(event.seq), data=data)


@router.post("/orders/{order_id}/cancel", tags=["orders"], response_model=CancelAnswer, responses=_CANCEL_PROBLEMS)
async def cancel(order_id: str, gateway: GatewayDependency) -> CancelAnswer:
    """Give the order up. The session is closed at the provider first; a payment that came before wins."""
    order = await gateway.orders.cancel(order_id)
    return CancelAnswer(order_id=order.order_id, status=order.status, reason=order.reason or Reason.CUSTOMER)
