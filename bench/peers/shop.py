"""What the peers share: the shape of the shop's HTTP and, for those that outlive a crash, the shop's own steps without
the engine under them."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import stripe
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel
from temporalio import activity

from checkout.contracts import OpenOrderInput, PaidInput, ReleaseInput
from checkout.orders import CartLine, Order, OrderStatus, Reason, cart_fingerprint
from db.engine import create_engine
from runtime.settings import Settings
from worker.activities.checkouts import CheckoutActivities
from worker.payments.stripe_adapter import StripeProvider

Items = list[tuple[str, int]]
"""What is bought: product and quantity."""


class Item(BaseModel):
    sku: str
    quantity: int


class Cart(BaseModel):
    items: list[Item]


def gateway(
    settings: Settings,
    buy: Callable[[str, Items], Awaitable[dict[str, Any] | None]],
    look: Callable[[str], Awaitable[None]],
    **more: Any,
) -> FastAPI:
    """`buy` is given the checkout's key, and returns what `answer` does; `look` is given the key of one that the
    payment service speaks of, once its signature is verified."""
    app = FastAPI(**more)

    @app.post("/checkout/{key}")
    async def checkout(key: str, cart: Cart) -> dict[str, Any]:
        session = await buy(key, [(item.sku, item.quantity) for item in cart.items])
        if session is None:
            raise HTTPException(409, "out of stock")
        return session

    @app.post("/payment_webhook")
    async def webhook(request: Request) -> None:
        payload = await request.body()
        secret = settings.stripe_webhook_secrets[0].get_secret_value()
        stripe.WebhookSignature.verify_header(payload.decode(), request.headers["stripe-signature"], secret, 300)
        event = json.loads(payload)
        key = event["data"]["object"].get("client_reference_id")
        if event["type"].startswith("checkout.session.") and key is not None:
            await look(key)

    @app.get("/readyz")
    async def ready() -> None: ...

    return app


def answer(order: Order) -> dict[str, Any] | None:
    """The body of the answer to `POST /checkout/{key}`; None for an order without a session."""
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


def opening_of(key: str, items: Items, settings: Settings) -> OpenOrderInput:
    lines, now = [CartLine(*item) for item in items], datetime.now(UTC)
    until = now + timedelta(seconds=settings.payment_timeout)
    return OpenOrderInput(key, lines, cart_fingerprint(lines, None), now, until)


class Steps:
    """The four steps of a checkout that meets no fault, and the one that undoes it. Each may be repeated.

    They are Temporal's activities where it runs them, and plain functions where it does not.
    """

    def __init__(self, settings: Settings) -> None:
        # As the worker's own pool: a dead connection is found by the step that uses it, which is tried again.
        engine = create_engine(settings.database_url.get_secret_value(), application_name="peer", pre_ping=False)
        self._settings = settings
        provider = StripeProvider(settings)
        self._steps = CheckoutActivities(engine, provider, dispatch_duration=settings.dispatch_duration)

    @activity.defn
    async def reserve(self, key: str, items: Items) -> Order:
        return await self._steps.open_order(opening_of(key, items, self._settings))

    @activity.defn
    async def open_session(self, order: Order) -> Order:
        return await self._steps.create_payment_session(order)

    @activity.defn
    async def paid_intent(self, session_id: str) -> str | None:
        """The payment, if there is one: a webhook is only a hint to look."""
        state = await self._steps.retrieve_session(session_id)
        return state.payment_intent_id if state.paid else None

    @activity.defn
    async def fulfil(self, order_id: str, payment_intent_id: str) -> str:
        return (await self._steps.fulfil_order(PaidInput(order_id, payment_intent_id))).status

    @activity.defn
    async def release(self, order: Order) -> str:
        """Close the session at the provider, then return the stock."""
        if order.session is not None:
            await self._steps.expire_session(order.session.session_id)
        request = ReleaseInput(order.order_id, OrderStatus.CANCELLED, Reason.TIMEOUT)
        return (await self._steps.release_order(request)).status
