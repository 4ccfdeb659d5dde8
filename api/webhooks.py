"""The payment service's events: verified, then handed to whoever looks after the order.

An event is a hint to look, never a fact: only its id travels on, and the provider is asked. Temporal is the durable
inbox: 200 is answered once the signal is stored there, and not before; when Temporal is away the answer is 503 and the
provider sends again. Sources: Stripe, "Check the webhook signatures" and "Best practices for using webhooks".
"""

import json
import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.problems import Problem
from api.signals import tell
from api.signatures import EVENTS, refused, sparing
from checkout.contracts import SettlementInput, StartSettlementInput
from checkout.errors import InvalidKey
from checkout.ids import is_provider_id, parse_checkout_key, settlement_workflow_id
from checkout.orders import Order, OrderStatus
from db import order_queries
from db.engine import autocommit
from runtime.boundaries import Step
from runtime.failpoints import around
from worker.starting import Starter

logger = logging.getLogger("api")

_SESSION_EVENTS = "checkout.session."
_REFUND_EVENT = "charge.refunded"


@dataclass(frozen=True)
class SessionEvent:
    """What of an event matters here. `checkout_key` is None unless it is one of ours."""

    event_id: str
    type: str
    session_id: str
    checkout_key: str | None


@dataclass(frozen=True)
class RefundEvent:
    """All of a payment was given back: by us, or by somebody in the provider's dashboard.

    `order_id` as we gave it to the payment intent, from which the charge has it (Stripe, "Metadata": copied to the
    charge).
    """

    event_id: str
    type: str
    order_id: str


def parse(payload: bytes) -> SessionEvent | RefundEvent | None:
    """The event if it is about a checkout session or a refund. Of what is not needed (other kinds, thin events, refunds
    of a part) nothing more is asked than its type, and None is answered. Raises a 400 `Problem` for no event."""
    try:
        event: Any = json.loads(payload)
        kind = event["type"]
        if kind == _REFUND_EVENT:
            known: SessionEvent | RefundEvent | None = _refund_event(event)
        else:
            known = _session_event(event) if kind.startswith(_SESSION_EVENTS) else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise refused("malformed", f"it is signed, but no event ({type(error).__name__})") from None
    if known is None:
        EVENTS.labels("not_needed").inc()
        sparing.info(f"not needed: {kind}", "An event of the payment service is not needed: %.100r", kind)
    return known


def _refund_event(event: Any) -> RefundEvent | None:
    """Of a part of the money an order takes no note; the part that makes it whole has an event of its own."""
    charge = event["data"]["object"]
    order_id = (charge.get("metadata") or {}).get("order_id")
    is_ours = charge.get("refunded") is True and is_provider_id(order_id)
    return RefundEvent(_event_id(event), event["type"], str(order_id)) if is_ours else None


def _session_event(event: Any) -> SessionEvent:
    session = event["data"]["object"]
    if not is_provider_id(session["id"]):
        raise TypeError
    key = _checkout_key(session.get("client_reference_id"))
    return SessionEvent(_event_id(event), event["type"], session["id"], key)


def _event_id(event: Any) -> str:
    if not is_provider_id(event["id"]):
        raise TypeError
    return str(event["id"])


@around(Step.TAKE_EVENT)
async def deliver(event: SessionEvent | RefundEvent, client: Client, engine: AsyncEngine) -> None:
    """Signal the running checkout; without one, have the session settled.

    Raises `RPCError` when Temporal is away, and a 503 `Problem` for what it is too early to look at.
    """
    if isinstance(event, RefundEvent):
        await _deliver_refund(event, client, engine)
        return
    if event.checkout_key is not None and await _signal(event, client):
        return
    async with autocommit(engine).connect() as connection:
        order = await order_queries.find_by_session(connection, event.session_id)
    if order is not None and _is_settled(order, event):
        return
    await start_settlement(
        client,
        SettlementInput(event.session_id, order.order_id if order else None),
        because=f"{event.type} without a running checkout",
        event_id=event.event_id,
    )
    logger.info("Settlement of session %s started by event %s", event.session_id, event.event_id)


async def _deliver_refund(event: RefundEvent, client: Client, engine: AsyncEngine) -> None:
    """Have an order that keeps its money looked at. Of our own refunds, the order knows already."""
    async with autocommit(engine).connect() as connection:
        order = await order_queries.find_by_id(connection, event.order_id)
    if order is None or not (order.status.is_live or order.status.is_kept):
        return
    if order.status.is_live:
        # Its checkout is about to decide it, and could fulfil what has just been given back: look once it has.
        raise Problem(503, "too-early", "The order is being settled: send it again", headers={"Retry-After": "5"})
    await start_settlement(
        client,
        SettlementInput.of(order),
        because="Money was given back at the payment service",
        event_id=event.event_id,
    )
    logger.info("Settlement of order %s started by event %s", order.order_id, event.event_id)


@around(Step.START_SETTLEMENT)
async def start_settlement(client: Client, settlement: SettlementInput, *, because: str, event_id: str | None) -> None:
    """A settlement that runs already hears of the event (or, without one, that the customer gives up), else one
    begins."""
    subject = settlement.session_id or settlement.order_id or ""
    told = ("payment_event", event_id) if event_id is not None else ("cancel",)
    if not await tell(client, settlement_workflow_id(subject), *told, once=event_id or f"cancel:{subject}"):
        await Starter(client).settlement(StartSettlementInput(settlement, event_id, because))


@around(Step.SIGNAL_PAYMENT)
async def _signal(event: SessionEvent, client: Client) -> bool:
    return await tell(
        client, str(event.checkout_key), "payment_event", event.event_id, event.session_id, once=event.event_id
    )


def _is_settled(order: Order, event: SessionEvent) -> bool:
    """Whether the order has already taken note of what the event tells, so that there is nothing to look at."""
    if event.type == "checkout.session.expired":
        return order.status in (OrderStatus.CANCELLED, OrderStatus.REFUNDED)
    return order.status.is_kept


def _checkout_key(text: object) -> str | None:
    try:
        return parse_checkout_key(text) if isinstance(text, str) else None
    except InvalidKey:
        return None
