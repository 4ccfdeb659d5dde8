"""The payment service's events: who sent them, what they are about, and on to whoever looks after the order. An event
is a hint to look, never a fact: only its id travels on. Temporal is the durable inbox: 200 is answered once the signal
is stored there, else 503, and the provider sends again. Sources: Stripe, "Best practices for using webhooks", "Verify
webhook signatures manually"."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import stripe
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api.problems import Problem
from checkout.contracts import SettlementInput, StartSettlementInput
from checkout.errors import InvalidKey
from checkout.ids import is_provider_id, parse_checkout_key, settlement_workflow_id
from checkout.orders import Order, OrderStatus
from checkout.payments import CLOSED_DISPUTES
from db import ledger, order_queries
from db.engine import autocommit
from runtime.failpoints import Step, around
from runtime.logs import SparingLogger
from worker.starting import Starter

logger = logging.getLogger("api")
sparing = SparingLogger(logger)

TOLERANCE = 300  # seconds, both ways; Stripe's default for the past
SIGNAL_TIMEOUT = timedelta(seconds=3)
EVENTS = Counter(
    "checkout_webhook_events_total",
    "Events sent to us: taken, not_needed, or refused: malformed, unsigned, mismatch, too_old, in_the_future",
    ["outcome"],
)
_MONEY_EVENTS = ("charge.refunded", "charge.refund.updated", "refund.created", "refund.updated", "refund.failed")
_DISPUTE_EVENTS = "charge.dispute."


def verify(payload: bytes, header: str, secrets: Sequence[str]) -> None:
    """Any of the secrets may have signed `Stripe-Signature`, over the raw bytes, within the tolerance. Raises a 400
    `Problem` that says only that it is wrong. Why it is, the log and a counter tell: it is our own settings or clock
    more often than a stranger."""
    signed_at = _timestamp(header)
    if signed_at is None:
        raise _refused("unsigned", "it has no Stripe-Signature, or one without a time")
    if not any(_has_signed(secret, payload, header) for secret in secrets):
        raise _refused(
            "mismatch",
            "no secret of STRIPE_WEBHOOK_SECRET has signed it. Compare it with the signing secret of this endpoint at "
            "the payment service; live and test mode have one each",
        )
    now = time.time()
    clock = f"this machine's clock says {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now))} UTC: is it right"
    if now - signed_at > TOLERANCE:
        seconds = round(now - signed_at)
        raise _refused("too_old", f"it was signed {seconds} s ago; {clock}, or was an old event sent once more?")
    # Stripe's library takes those of the future, with which a recorded event could be kept for later.
    if signed_at - now > TOLERANCE:
        raise _refused("in_the_future", f"it was signed {round(signed_at - now)} s in the future; {clock}?")


def _refused(reason: str, told: str) -> Problem:
    EVENTS.labels(reason).inc()
    sparing.log(logging.WARNING, reason, "An event of the payment service was refused: %s", told)
    if reason == "malformed":
        return Problem(400, "malformed-event", "The body is not an event")
    return Problem(400, "bad-signature", "The signature does not verify")


def _has_signed(secret: str, payload: bytes, header: str) -> bool:
    try:
        # The library compares in constant time. Without a tolerance: what is too old is to be told from what is wrong.
        return bool(stripe.WebhookSignature.verify_header(payload.decode(), header, secret, None))
    # TypeError: it cannot compare what is not ASCII.
    except (stripe.SignatureVerificationError, ValueError, TypeError):
        return False


def _timestamp(header: str) -> int | None:
    """The first `t=` as it stands, which is the one that the library takes as signed."""
    for part in header.split(","):
        name, _, value = part.partition("=")
        if name == "t":
            return int(value) if value.isascii() and value.isdigit() and len(value) <= 12 else None
    return None


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
        # Stripe's test and live mode share nothing; an endpoint may be subscribed in both by mistake.
        if is_live is not None and event.get("livemode") is (not is_live):
            EVENTS.labels("not_needed").inc()
            told = "An event of the payment service is of another mode than our key, and is let go: %.100r"
            sparing.log(logging.WARNING, "another mode", told, kind)
            return None
        known: SessionEvent | MoneyEvent | None = None
        if kind.startswith("checkout.session."):
            known = session_event(event)
        elif kind in _MONEY_EVENTS or kind.startswith(_DISPUTE_EVENTS):
            known = _money_event(_provider_id(event["id"]), kind, event["data"]["object"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refused("malformed", f"it is signed, but no event ({type(error).__name__})") from None
    if known is None:
        EVENTS.labels("not_needed").inc()
        told = "An event of the payment service is not needed: %.100r"
        sparing.log(logging.INFO, f"not needed: {kind}", told, kind)
    return known


def session_event(event: Any) -> SessionEvent:
    """Raises `KeyError`, `TypeError` or `AttributeError` for what is none."""
    session = event["data"]["object"]
    key = _checkout_key(session.get("client_reference_id"))
    return SessionEvent(_provider_id(event["id"]), event["type"], _provider_id(session["id"]), key)


def _money_event(event_id: str, kind: str, subject: Any) -> MoneyEvent | None:
    """Of a charge without an intent nothing can be ours: each of our payments has one."""
    intent = subject.get("payment_intent")
    if isinstance(intent, Mapping):  # expanded
        intent = intent.get("id")
    return None if intent is None else MoneyEvent(event_id, kind, _provider_id(intent), subject)


def _provider_id(given: object) -> str:
    if not isinstance(given, str) or not is_provider_id(given):
        raise TypeError
    return given


def _checkout_key(given: object) -> str | None:
    try:
        return parse_checkout_key(given) if isinstance(given, str) else None
    except InvalidKey:
        return None


@around(Step.TAKE_EVENT)
async def deliver(event: SessionEvent | MoneyEvent, client: Client, engine: AsyncEngine) -> None:
    """Signal the running checkout; without one, have the session settled, or the payment followed, unless the shop has
    taken note of what the event tells: most about money are echoes of our own refunds. Raises `RPCError` when Temporal
    is away."""
    if isinstance(event, SessionEvent) and event.checkout_key and await _signal(event.checkout_key, event, client):
        return
    async with autocommit(engine).connect() as connection:
        if isinstance(event, SessionEvent):
            order = await order_queries.find_by_session(connection, event.session_id)
            if order is not None and _is_settled(order, event):
                return
            settlement = SettlementInput(event.session_id, order.order_id if order else None)
            because = f"{event.type} without a running checkout"
        else:
            if await _is_known(connection, event):
                return
            settlement = SettlementInput(payment_intent_id=event.payment_intent_id)
            because = f"{event.type} of payment {event.payment_intent_id}"
    await start_settlement(client, StartSettlementInput(settlement, event.event_id, because))
    about = {"workflow_id": settlement_workflow_id(settlement.subject)}
    if settlement.order_id is not None:
        about["order_id"] = settlement.order_id
    logger.info("Settlement of %s started by event %s", settlement.subject, event.event_id, extra=about)


@around(Step.SIGNAL_PAYMENT)
async def _signal(checkout_key: str, event: SessionEvent, client: Client) -> bool:
    return await tell(client, checkout_key, event.event_id, event.session_id)


def _is_settled(order: Order, event: SessionEvent) -> bool:
    """Whether the order has already taken note of what the event tells, so that there is nothing to look at."""
    if event.type == "checkout.session.expired":
        return order.status in (OrderStatus.CANCELLED, OrderStatus.REFUNDED)
    return order.status.is_kept


async def _is_known(connection: AsyncConnection, event: MoneyEvent) -> bool:
    """Whether the ledger has just what the event tells."""
    object_id, status = str(event.object.get("id")), event.object.get("status")
    if event.type == "charge.refunded":
        amount = event.object.get("amount_refunded")
        return isinstance(amount, int) and await ledger.knows_refunded(connection, event.payment_intent_id, amount)
    if event.type.startswith(_DISPUTE_EVENTS):
        # Of one that is open, amount and deadline may be news as well.
        return status in CLOSED_DISPUTES and await ledger.knows_dispute(connection, object_id, str(status))
    state = {"requires_action": "pending", "canceled": "cancelled"}.get(str(status), str(status))
    return await ledger.knows_refund(connection, object_id, state, status == "requires_action")


@around(Step.START_SETTLEMENT)
async def start_settlement(client: Client, wanted: StartSettlementInput) -> None:
    """One that runs already hears of the event (or, without one, that the customer gives up), else one begins."""
    if not await tell(client, settlement_workflow_id(wanted.settlement.subject), wanted.event_id):
        await Starter(client).settlement(wanted)


async def tell(client: Client, workflow_id: str, event_id: str | None, *session_id: str) -> bool:
    """Whether such a workflow runs, and has been told of the event (without one: that the customer gives up). Raises
    `RPCError` when Temporal is away. What is told has a name (`once`), whose repeats Temporal drops in a run: nothing
    sent or opened again makes the history longer. The SDK's own signals have a random one, hence the bare call."""
    signal, once = ("cancel", f"cancel:{workflow_id}") if event_id is None else ("payment_event", event_id)
    arguments = [] if event_id is None else [event_id, *session_id]
    request = SignalWorkflowExecutionRequest(
        namespace=client.namespace,
        identity=client.identity,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id),
        signal_name=signal,
        input=Payloads(payloads=await client.data_converter.encode(arguments)) if arguments else None,
        request_id=once,
    )
    try:
        await client.workflow_service.signal_workflow_execution(request, retry=True, timeout=SIGNAL_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True
