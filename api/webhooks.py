"""The payment service's events: verified, then handed to whoever looks after the order.

An event is a hint to look, never a fact: only its id travels on, and the provider is asked. Temporal is the durable
inbox: 200 is answered once the signal is stored there, and not before; when Temporal is away the answer is 503 and the
provider sends again. Sources: Stripe, "Check the webhook signatures" and "Best practices for using webhooks".
"""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import stripe
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.problems import Problem
from api.signals import tell
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

TOLERANCE = 300  # seconds, both ways; Stripe's default for the past
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


def verify(payload: bytes, header: str, secrets: Sequence[str]) -> None:
    """Check `Stripe-Signature` over the raw bytes; any of the secrets may have signed. Raises a 400 `Problem`."""
    for secret in secrets:
        try:
            # The library compares in constant time and refuses timestamps older than the tolerance.
            if stripe.WebhookSignature.verify_header(payload.decode(), header, secret, TOLERANCE):
                break
        # TypeError: it cannot compare what is not ASCII.
        except (stripe.SignatureVerificationError, ValueError, TypeError):
            continue
    else:
        raise Problem(400, "bad-signature", "The signature does not verify")
    # It does not refuse those of the future, with which a recorded event could be kept for later.
    if _timestamp(header) > time.time() + TOLERANCE:
        raise Problem(400, "bad-signature", "The signature is of the future")


def parse(payload: bytes) -> SessionEvent | RefundEvent | None:
    """The event if it is about a checkout session or a refund, else None. Raises a 400 `Problem` for no event."""
    try:
        event: Any = json.loads(payload)
        event_id, kind, subject = event["id"], event["type"], event["data"]["object"]
        if not (is_provider_id(event_id) and isinstance(kind, str)):
            raise TypeError
        if kind == _REFUND_EVENT:
            # Of a part of the money an order takes no note; the part that makes it whole has an event of its own.
            order_id = (subject.get("metadata") or {}).get("order_id")
            is_ours = subject.get("refunded") is True and is_provider_id(order_id)
            return RefundEvent(event_id, kind, str(order_id)) if is_ours else None
        if not kind.startswith(_SESSION_EVENTS):
            return None
        session_id = subject["id"]
        if not is_provider_id(session_id):
            raise TypeError
        return SessionEvent(event_id, kind, session_id, _checkout_key(subject.get("client_reference_id")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Problem(400, "malformed-event", "The body is not an event") from None


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


def _timestamp(header: str) -> float:
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t" and value.isascii() and value.isdigit() and len(value) <= 12:
            return float(value)
    raise Problem(400, "bad-signature", "The signature has no timestamp")
