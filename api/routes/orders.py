"""An order as its customer sees it. The id is the permission: it cannot be guessed."""

import time
from collections.abc import AsyncIterable
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from temporalio.service import RPCError, RPCStatusCode

from api.order_views import order_out
from api.problems import Problem, declared
from api.schemas import CancelAnswer, OrderOut, TimelineEvent
from api.state import Gateway, GatewayDependency
from api.webhooks import start_settlement
from checkout.contracts import SettlementInput
from checkout.errors import OrderNotFound
from checkout.orders import Order, OrderStatus, Reason
from db import order_queries, views
from runtime.boundaries import Step
from runtime.failpoints import around
from worker.workflows.checkout import CheckoutWorkflow

router = APIRouter()

_SIGNAL_TIMEOUT = timedelta(seconds=3)
_CANCEL_WAIT = 5.0  # seconds for the settlement to show
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
    async with gateway.engine.connect() as connection:
        row = await views.order_detail(connection, order_id)
    if row is None:
        raise OrderNotFound
    return order_out(row)


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
    order = await _find(gateway, order_id)
    if order.status.is_live:
        await _ask_to_cancel(gateway, order)
        order = await _wait_for_end(gateway, order)
    if order.status.is_live:
        raise Problem(
            503,
            "cancel-pending",
            "The order is being cancelled",
            "The payment service has not confirmed yet; look at the order again.",
            headers={"Retry-After": "2"},
        )
    if order.status is not OrderStatus.CANCELLED:
        raise Problem(409, "not-cancellable", "The order can no longer be cancelled", f"It is {order.status}.")
    return CancelAnswer(order_id=order.order_id, status=order.status, reason=order.reason or Reason.CUSTOMER)


async def _find(gateway: Gateway, order_id: str) -> Order:
    async with gateway.engine.connect() as connection:
        return await order_queries.get_order(connection, order_id)


@around(Step.ASK_TO_CANCEL)
async def _ask_to_cancel(gateway: Gateway, order: Order) -> None:
    handle = gateway.temporal.get_workflow_handle(order.checkout_key)
    try:
        await handle.signal(CheckoutWorkflow.cancel, rpc_timeout=_SIGNAL_TIMEOUT)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        because = "Cancelled by the customer without a running checkout"
        await start_settlement(gateway.temporal, SettlementInput.of(order), because=because, event_id=None)


async def _wait_for_end(gateway: Gateway, order: Order) -> Order:
    """The order once it has ended, or as it is after a few seconds."""
    deadline = time.monotonic() + _CANCEL_WAIT
    pause = 0.02
    while order.status.is_live and time.monotonic() < deadline and not gateway.stopping.is_told:
        await gateway.stopping.sleep(pause)
        pause = min(pause * 1.6, 0.5)
        order = await _find(gateway, order.order_id)
    return order
