"""The payment service's events: verified, then handed to whoever looks after the order.

An event is a hint to look, never a fact: only its id travels on, and the provider is asked. Temporal is the durable
inbox: 200 is answered once the signal is stored there, and not before; when Temporal is away the answer is 503 and the
provider sends again. Sources: Stripe, "Check the webhook signatures" and "Best practices for using webhooks".
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.client import Client

from api.signals import tell
from api.signatures import EVENTS, refused, sparing
from checkout.contracts import SettlementInput, StartSettlementInput
from checkout.errors import InvalidKey
from checkout.ids import is_provider_id, parse_checkout_key, settlement_workflow_id
from checkout.money import CLOSED_DISPUTES
from checkout.orders import Order, OrderStatus
from db import ledger, order_queries
from db.engine import autocommit
from runtime.failpoints import Step, around
from worker.starting import Starter

logger = logging.getLogger("api")

_SESSION_EVENTS = "checkout.session."
_REFUND_EVENTS = ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated")
_CHARGE_EVENT = "charge.refunded"
_DISPUTE_EVENTS = "charge.dispute."


@dataclass(frozen=True)
class SessionEvent:
    """What of an event matters here. `checkout_key` is None unless it is one of ours."""

    event_id: str
    type: str
    session_id: str
    checkout_key: str | None


@dataclass(frozen=True)
class MoneyEvent:
    """Something became of a payment after its sale: a refund, a dispute, by whomever. What it says is compared with the
    ledger only to see whether there is anything to learn."""

    event_id: str
    type: str
    payment_intent_id: str
    object: Mapping[str, Any]


def parse(payload: bytes, is_live: bool | None = None) -> SessionEvent | MoneyEvent | None:
    """The event if it is about a checkout session, a refund or a dispute. Of what is not needed (other kinds, thin
    events, payments that have no intent) nothing more is asked than its type, and None is answered; the same of events
    of another mode than our key's (`is_live`, if the key tells). Raises a 400 `Problem` for no event."""
    try:
        event: Any = json.loads(payload)
        kind = event["type"]
        known: SessionEvent | MoneyEvent | None = None
        if _is_of_another_mode(event, is_live):
            EVENTS.labels("not_needed").inc()
            told = "An event of the payment service is of another mode than our key, and is let go: %.100r"
            sparing.warning("another mode", told, kind)
            return None
        if kind.startswith(_SESSION_EVENTS):
            known = _session_event(event)
        elif kind in (*_REFUND_EVENTS, _CHARGE_EVENT) or kind.startswith(_DISPUTE_EVENTS):
            known = _money_event(event)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise refused("malformed", f"it is signed, but no event ({type(error).__name__})") from None
    if known is None:
        EVENTS.labels("not_needed").inc()
        sparing.info(f"not needed: {kind}", "An event of the payment service is not needed: %.100r", kind)
    return known


def _is_of_another_mode(event: Any, is_live: bool | None) -> bool:
    """Stripe's test and live mode share nothing; an endpoint may be subscribed in both by mistake."""
    return isinstance(is_live, bool) and isinstance(event.get("livemode"), bool) and event["livemode"] is not is_live


def _money_event(event: Any) -> MoneyEvent | None:
    """Of a charge without an intent nothing can be ours: each of our payments has one."""
    event_id, told = _event_id(event), event["data"]["object"]
    intent = told.get("payment_intent")
    if isinstance(intent, Mapping):  # expanded
        intent = intent.get("id")
    if intent is None:
        return None
    if not is_provider_id(intent):
        raise TypeError
    return MoneyEvent(event_id, event["type"], intent, told)


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
async def deliver(event: SessionEvent | MoneyEvent, client: Client, engine: AsyncEngine) -> None:
    """Signal the running checkout; without one, have the session settled, or the payment followed.

    Raises `RPCError` when Temporal is away.
    """
    if isinstance(event, MoneyEvent):
        await _deliver_money(event, client, engine)
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


async def _deliver_money(event: MoneyEvent, client: Client, engine: AsyncEngine) -> None:
    """Have the payment looked at, unless the ledger has just what the event tells: most are echoes of our refunds."""
    async with autocommit(engine).connect() as connection:
        if await _is_known(connection, event):
            return
    await start_settlement(
        client,
        SettlementInput(payment_intent_id=event.payment_intent_id),
        because=f"{event.type} of payment {event.payment_intent_id}",
        event_id=event.event_id,
    )
    logger.info("Settlement of payment %s started by event %s", event.payment_intent_id, event.event_id)


async def _is_known(connection: AsyncConnection, event: MoneyEvent) -> bool:
    told, status = event.object, event.object.get("status")
    object_id = str(told.get("id"))
    if event.type == _CHARGE_EVENT:
        amount = told.get("amount_refunded")
        return isinstance(amount, int) and await ledger.knows_refunded(connection, event.payment_intent_id, amount)
    if event.type.startswith(_DISPUTE_EVENTS):
        # Of one that is open, amount and deadline may be news as well.
        return status in CLOSED_DISPUTES and await ledger.knows_dispute(connection, object_id, str(status))
    state = {"requires_action": "pending", "canceled": "cancelled"}.get(str(status), str(status))
    return await ledger.knows_refund(connection, object_id, state, status == "requires_action")


@around(Step.START_SETTLEMENT)
async def start_settlement(client: Client, settlement: SettlementInput, *, because: str, event_id: str | None) -> None:
    """A settlement that runs already hears of the event (or, without one, that the customer gives up), else one
    begins."""
    subject = settlement.subject
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
