"""Hints: whoever looks after an order shall look now, because somebody outside has moved. An event of the payment
service is a hint to ask it, never a fact: only its id travels on. Temporal is the durable inbox: a hint is taken once
its signal is stored there."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from checkout.contracts import SettlementInput, StartSettlementInput
from checkout.ids import settlement_workflow_id
from checkout.payments import CLOSED_DISPUTES, STRIPE_REFUND_STATES
from checkout.settling import is_no_news
from db import ledger, order_queries
from db.engine import autocommit
from runtime.failpoints import Step, around
from worker.starting import Starter

logger = logging.getLogger("api")

SIGNAL_TIMEOUT = timedelta(seconds=3)
DISPUTE_EVENTS = "charge.dispute."


@dataclass(frozen=True)
class SessionEvent:
    """An event about a checkout session. `checkout_key` is None unless it is one of ours."""

    event_id: str
    type: str
    session_id: str
    checkout_key: str | None


@dataclass(frozen=True)
class MoneyEvent:
    """An event about a payment after its sale: a refund or a dispute. `object` is compared with the ledger, only to see
    whether there is anything to learn."""

    event_id: str
    type: str
    payment_intent_id: str
    object: Mapping[str, Any]


@around(Step.TAKE_EVENT)
async def deliver(event: SessionEvent | MoneyEvent, client: Client, engine: AsyncEngine) -> None:
    """Signal the running checkout. If none runs, start a settlement of the session or the payment, unless the shop
    knows already what the event says: most events about money are echoes of our own refunds. Raises `RPCError` when
    Temporal is away."""
    if isinstance(event, SessionEvent) and event.checkout_key and await _signalled(event.checkout_key, event, client):
        return
    async with autocommit(engine).connect() as connection:
        if isinstance(event, SessionEvent):
            order = await order_queries.find_by_session(connection, event.session_id)
            if order is not None and is_no_news(order, event.type):
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
async def _signalled(checkout_key: str, event: SessionEvent, client: Client) -> bool:
    return await signal(client, checkout_key, event.event_id, event.session_id)


async def _is_known(connection: AsyncConnection, event: MoneyEvent) -> bool:
    """Whether the ledger already says what the event says."""
    object_id, status = str(event.object.get("id")), event.object.get("status")
    if event.type == "charge.refunded":
        amount = event.object.get("amount_refunded")
        return isinstance(amount, int) and await ledger.knows_refunded(connection, event.payment_intent_id, amount)
    if event.type.startswith(DISPUTE_EVENTS):
        # Of one that is open, amount and deadline may be news as well.
        return status in CLOSED_DISPUTES and await ledger.knows_dispute(connection, object_id, str(status))
    state = STRIPE_REFUND_STATES.get(status) if isinstance(status, str) else None
    return state is not None and await ledger.knows_refund(connection, object_id, state, status == "requires_action")


@around(Step.START_SETTLEMENT)
async def start_settlement(client: Client, wanted: StartSettlementInput) -> None:
    """Signal the settlement that runs, or start one. `Starter.settlement` alone would do both, but its signal has a
    random name: every repeat would make the history of one that runs longer."""
    if not await signal(client, settlement_workflow_id(wanted.settlement.subject), wanted.event_id):
        await Starter(client).settlement(wanted)


async def signal(client: Client, workflow_id: str, event_id: str | None, *session_id: str) -> bool:
    """Signal the workflow that there is an event (None: that the customer gives up). Returns whether it runs. Raises
    `RPCError` when Temporal is away. A signal has a name (`once`), and Temporal drops a second one of that name in a
    run: nothing sent or opened again makes the history longer. The SDK names its signals at random, hence the bare
    call."""
    name, once = ("cancel", f"cancel:{workflow_id}") if event_id is None else ("payment_event", event_id)
    arguments = [] if event_id is None else [event_id, *session_id]
    request = SignalWorkflowExecutionRequest(
        namespace=client.namespace,
        identity=client.identity,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id),
        signal_name=name,
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
