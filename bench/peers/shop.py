"""What the durable peers share: the shop's own steps without the engine under them, and the shape of its HTTP."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import stripe
from fastapi import Request
from pydantic import BaseModel

from checkout.contracts import OpenOrderInput, PaidInput, ReleaseInput
from checkout.orders import CartLine, Order, OrderStatus, Reason, cart_fingerprint
from db.engine import create_engine
from runtime.settings import Settings
from worker.activities.orders import OrderActivities
from worker.activities.payments import PaymentActivities
from worker.payments.stripe_adapter import StripeProvider


class Item(BaseModel):
    sku: str
    quantity: int


class Cart(BaseModel):
    items: list[Item]


@dataclass(frozen=True)
class Steps:
    """The four steps of a checkout that meets no fault, and the one that undoes it. Each may be repeated."""

    orders: OrderActivities
    payments: PaymentActivities

    @classmethod
    def of(cls, settings: Settings) -> "Steps":
        # As the worker's own pool: a dead connection is found by the step that uses it, which is tried again.
        engine = create_engine(settings.database_url.get_secret_value(), application_name="peer", pre_ping=False)
        orders = OrderActivities(engine, dispatch_duration=settings.dispatch_duration)
        return cls(orders, PaymentActivities(engine, StripeProvider(settings)))

    async def reserve(self, key: str, items: list[tuple[str, int]], now: datetime, patience: float) -> Order:
        lines = [CartLine(*item) for item in items]
        until = now + timedelta(seconds=patience)
        return await self.orders.open_order(OpenOrderInput(key, lines, cart_fingerprint(lines, None), now, until))

    async def open_session(self, order: Order) -> Order:
        return await self.payments.create_payment_session(order)

    async def paid_intent(self, session_id: str) -> str | None:
        """The payment, if there is one: a webhook is only a hint to look."""
        state = await self.payments.retrieve_session(session_id)
        return state.payment_intent_id if state.paid else None

    async def fulfil(self, order_id: str, payment_intent_id: str) -> str:
        return (await self.orders.fulfil_order(PaidInput(order_id, payment_intent_id))).status

    async def release(self, order: Order) -> str:
        """Close the session at the provider, then return the stock."""
        if order.session is not None:
            await self.payments.expire_session(order.session.session_id)
        request = ReleaseInput(order.order_id, OrderStatus.CANCELLED, Reason.TIMEOUT)
        return (await self.orders.release_order(request)).status


def answer(order: Order) -> dict[str, Any] | None:
    """What `POST /checkout/{key}` says; None of an order without a session."""
    if order.session is None:
        return None
    return {
        "checkout_key": order.checkout_key,
        "order_id": order.order_id,
        "session_id": order.session.session_id,
        "payment_url": order.session.url,
        "amount_total": order.amount_total,
        "currency": order.currency,
    }


async def checkout_key_of(request: Request, settings: Settings) -> str | None:
    """The checkout that a webhook is about, once its signature is verified; None when it is about none."""
    payload = await request.body()
    secret = settings.stripe_webhook_secrets[0].get_secret_value()
    stripe.WebhookSignature.verify_header(payload.decode(), request.headers["stripe-signature"], secret, 300)
    event = json.loads(payload)
    is_session = event["type"].startswith("checkout.session.")
    return event["data"]["object"].get("client_reference_id") if is_session else None
