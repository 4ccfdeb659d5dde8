"""What a workflow does with an order, one function a step of the story. Each returns the order as it then is, and shows
it in Temporal's UI: as search attributes (status and id), and in the details.

A step is retried until it is done (`worker.steps`); what it does is safe to repeat (`worker.activities`).
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from checkout import settling
from checkout.contracts import (
    AskInput,
    CheckoutInput,
    FindOrderInput,
    Followed,
    Opened,
    OpenOrderInput,
    PaidInput,
    RefundInput,
    ReleaseInput,
    SettlementInput,
    StartSettlementInput,
)
from checkout.errors import KeyReused, PaymentUnknown
from checkout.orders import Order, OrderStatus, Reason
from checkout.payments import Refund
from checkout.sessions import ProviderSession
from runtime.search_attributes import CHECKOUT_STATUS, ORDER_ID
from worker import policies
from worker.activities.checkouts import CheckoutActivities
from worker.activities.money import MoneyActivities
from worker.activities.settlements import SettlementActivities
from worker.steps import StepFailed, retry_until_done, run_step

Result = TypeVar("Result")


async def open_order(checkout: CheckoutInput) -> Opened:
    """Insert the order, reserve its stock and open its session; or find the order that an earlier run of this key
    opened. If the session takes a while, the order is pending, and `open_session` is next."""
    now = workflow.now()
    request = OpenOrderInput(
        checkout_key=checkout.checkout_key,
        lines=checkout.lines,
        fingerprint=checkout.fingerprint,
        opened_at=now,
        expires_at=now + timedelta(seconds=checkout.payment_timeout),
        email=checkout.email,
        client=checkout.client,
        order_id=checkout.order_id,
    )
    summary = "Reserve the stock, open the payment session"
    try:
        opened = await run_step(CheckoutActivities.open_checkout, request, policies.OPEN_ORDER, summary)
    except StepFailed as error:
        raise ApplicationError(str(error), type=error.kind, non_retryable=True) from error
    if opened.order.fingerprint != checkout.fingerprint:
        raise ApplicationError("This key belongs to another cart", type=KeyReused.__name__, non_retryable=True)
    if opened.refusal is not None:
        return replace(opened, order=await _reject(opened.order, opened.refusal))
    show(opened.order)
    return opened


async def find_order(order_id: str) -> Order | None:
    order = await run_step(CheckoutActivities.find_order, FindOrderInput(order_id), policies.DATABASE, "Find the order")
    return show(order) if order else None


async def open_session(order: Order) -> Order:
    """Open the order's one session; if the provider refuses it, reject the order and return its stock."""
    try:
        opened = await run_step(
            CheckoutActivities.create_payment_session,
            order,
            policies.OPEN_SESSION,
            "Open the payment session",
            before_waiting=lambda: show(order, even_pending=True),
        )
    except StepFailed as error:
        return await _reject(order, str(error))
    return show(opened)


async def _reject(order: Order, refusal: str) -> Order:
    workflow.logger.warning("No payment session for order %s: %s", order.order_id, refusal, extra=about(order))
    return await release(order, Reason.PAYMENT_UNAVAILABLE, OrderStatus.REJECTED)


async def retrieve(session_id: str) -> ProviderSession:
    """What the provider says of a session, asked until it says something."""
    return await retry_until_done(CheckoutActivities.retrieve_session, session_id, "Look at the payment session")


async def retrieve_if_known(session_id: str) -> ProviderSession | None:
    """What the provider says of a session. None: it knows none of this id."""
    return await _if_known(CheckoutActivities.retrieve_session, "session", session_id, "Look at the payment session")


async def close_session(session_id: str) -> ProviderSession:
    """Expire the session at the provider. Returns it as it then is: one that was complete stays so."""
    return await retry_until_done(CheckoutActivities.expire_session, session_id, "Close the payment session")


async def ask_provider(order: Order, closing: Reason | None) -> tuple[Order, ProviderSession | None]:
    """Ask the provider about the order's session, which is closed first if the order is to end; and, if it is paid as
    agreed, fulfil the order in the same step. Returns the order as it then is, and the provider's word: None if it
    refuses to speak of a live order's session (the stock is kept, and an operator must look).
    """
    if order.session is None:
        return order, None
    if not order.status.is_live:
        return order, await retrieve(order.session.session_id)
    summary = "Close the payment session" if closing else "Look at the payment session"
    try:
        answer = await run_step(
            CheckoutActivities.ask_provider, AskInput(order, closing), policies.ASK_AND_FULFIL, summary
        )
    except StepFailed as error:
        told = "Order %s needs attention, its stock is kept: %s"
        workflow.logger.error(told, order.order_id, error, extra=about(order))
        return order, None
    return show(answer.order), answer.session


async def await_bank(order: Order, payment_intent_id: str | None) -> Order:
    """The customer has ordered a payment that takes days: the order waits for the bank, and keeps its stock."""
    request = PaidInput(order.order_id, payment_intent_id)
    summary = "The payment is under way"
    return show(await run_step(CheckoutActivities.process_order, request, policies.DATABASE, summary))


async def fulfil(order: Order, payment_intent_id: str | None, session: ProviderSession | None) -> Order:
    """Hand out the goods; or give the money back, when they cannot be had (any more). Usually `ask_provider` has done
    so already, under `policies.ASK_AND_FULFIL`: this step is for when it could not."""
    request = PaidInput(order.order_id, payment_intent_id)
    try:
        fulfilled = await run_step(CheckoutActivities.fulfil_order, request, policies.FULFIL, "Fulfil the order")
    except StepFailed as error:
        workflow.logger.error("%s: needs attention. The payment is given back.", error, extra=about(order))
        return await _compensate(order, payment_intent_id)
    match settling.decide(fulfilled, session):
        case settling.Refund(payment, reason):  # somebody else has ended the order meanwhile
            return await refund(fulfilled, payment, reason)
    return show(fulfilled)


async def _compensate(order: Order, payment_intent_id: str | None) -> Order:
    """Undo the payment and the reservations of an order that cannot be fulfilled."""
    if payment_intent_id is None:  # no money moved
        return await release(order, Reason.CANNOT_FULFIL)
    return await refund(order, payment_intent_id, Reason.CANNOT_FULFIL)


async def release(order: Order, reason: Reason, status: OrderStatus = OrderStatus.CANCELLED) -> Order:
    """End the order and return its stock."""
    request = ReleaseInput(order.order_id, status, reason)
    return show(await run_step(CheckoutActivities.release_order, request, policies.DATABASE, "Return the stock"))


async def refund(order: Order, payment_intent_id: str, reason: Reason) -> Order:
    """Give the order's money back, however long the provider refuses, for it is owed; and end the order."""
    refunded = await give_back(payment_intent_id, reason, order.order_id)
    return show(refunded) if refunded else order


async def give_back(payment_intent_id: str, reason: Reason, order_id: str | None = None) -> Order | None:
    """Give back money of an order, or that belongs to none."""
    request = RefundInput(payment_intent_id, reason, order_id)
    return await retry_until_done(MoneyActivities.refund_payment, request, "Give the money back")


async def follow_money(payment_intent_id: str) -> Followed | None:
    """What became of a payment, as the provider tells, is in the ledger. None: it knows no such payment."""
    summary = "Look what became of the money"
    return await _if_known(MoneyActivities.follow_money, "payment", payment_intent_id, summary)


async def _if_known(
    activity: Callable[[Any, str], Awaitable[Result]], what: str, subject: str, summary: str
) -> Result | None:
    """What the provider says of a session or payment. None only for its 404: any other refusal (of a wrong key, say) is
    retried, for there may be money, and the event that told of it is acknowledged already."""
    try:
        return await retry_until_done(activity, subject, summary, unless=PaymentUnknown.__name__)
    except StepFailed:
        workflow.logger.warning("The payment service does not know %s %s", what, subject)
        return None


async def make_refund(refund: Refund) -> None:
    """Have the provider make it. If it refuses, the refund stays owed: the sweep has it tried again, ever more
    rarely."""
    try:
        await run_step(MoneyActivities.make_refund, refund, policies.PROVIDER, "Give the money back")
    except StepFailed as error:
        told = "Order %s needs attention: refund %s of payment %s is refused: %s"
        workflow.logger.error(told, refund.order_id, refund.id, refund.payment_intent_id, error)


def hand_over(order: Order) -> None:
    """Log how the checkout ended, in the guide's words. The warehouse finds fulfilled orders by itself
    (`worker.warehouse`)."""
    if order.status.is_kept:
        workflow.logger.info("Checkout with UUID %s succeeded!", order.checkout_key, extra=about(order))
    else:
        workflow.logger.warning("Checkout with UUID %s failed or timed out...", order.checkout_key, extra=about(order))


async def hand_on(session_id: str) -> None:
    """Start a settlement of a session that carries our key and is not the order's: what was paid for it goes back."""
    request = StartSettlementInput(
        SettlementInput(session_id=session_id),
        event_id=f"{workflow.info().workflow_id}/{workflow.uuid4()}",
        because="A payment under this key that is not the order's own",
    )
    await run_step(SettlementActivities.start_settlement, request, policies.TEMPORAL, "Hand on another session")


def about(order: Order) -> dict[str, str]:
    """The fields of a log line about it (`runtime.logs`)."""
    return {"order_id": order.order_id, "checkout_key": order.checkout_key}


def show(order: Order, *, even_pending: bool = False) -> Order:
    """Show the order as it is now in Temporal's UI, and return it.

    A search attribute costs an event and a write each time: a pending order, which has its session in a moment, is
    shown once instead of twice, unless it has to wait (`even_pending`).
    """
    because = f" ({order.reason})" if order.reason else ""
    session = f"\n\nsession `{order.session.session_id}`" if order.session else ""
    workflow.set_current_details(f"order `{order.order_id}` **{order.status}**{because}{session}")
    if order.status is OrderStatus.PENDING and not even_pending:
        return order
    wanted = {CHECKOUT_STATUS: order.status.value, ORDER_ID: order.order_id}
    shown = workflow.info().typed_search_attributes
    updates = [key.value_set(value) for key, value in wanted.items() if shown.get(key) != value]
    if updates:
        workflow.upsert_search_attributes(updates)
    return order
