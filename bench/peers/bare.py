"""The same steps in a handler, with nothing that remembers them: the limit. `python -m bench.peers.bare`.

If the process dies between two steps, stock stays reserved and payments go unnoticed for ever. PostgreSQL is spoken to
through asyncpg and the payment service through httpx, without a library in between.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import uvicorn
from fastapi import FastAPI, HTTPException, Request

from bench.peers.shop import Cart, checkout_key_of
from checkout.fingerprint import cart_fingerprint
from checkout.ids import new_order_id, session_idempotency_key
from checkout.orders import CartLine
from db import inventory, order_queries, orders
from runtime.settings import load_settings

settings = load_settings()


class Native:
    """A statement of the shop's own, with `:names` for `$1`, for asyncpg."""

    def __init__(self, statement: Any) -> None:
        self._names: list[str] = []
        self._sql = re.sub(r"(?<!:):(\w+)", self._number, statement.text)

    def _number(self, match: re.Match[str]) -> str:
        if match[1] not in self._names:
            self._names.append(match[1])
        return f"${self._names.index(match[1]) + 1}"

    async def __call__(self, where: Any, **values: Any) -> list[Any]:
        rows: list[Any] = await where.fetch(self._sql, *(values[name] for name in self._names))
        return rows


LOCK, OPEN, FIND = Native(inventory._LOCK), Native(orders._OPEN), Native(order_queries._BY_KEY)
RECORD_SESSION, FULFIL = Native(orders._RECORD_SESSION), Native(orders._FULFIL)
NAMES = "SELECT sku, name FROM shop.products WHERE sku = ANY($1)"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    dsn, key = settings.database_url.get_secret_value(), settings.stripe_secret_key.get_secret_value()
    base = settings.stripe_api_base or "https://api.stripe.com"
    async with (
        asyncpg.create_pool(dsn, min_size=2, max_size=8) as app.state.pool,
        httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {key}"}) as app.state.stripe,
    ):
        yield


app = FastAPI(lifespan=lifespan)


async def reserve(connection: Any, key: str, cart: Cart) -> Any:
    """The order's row, new or not."""
    wanted = {item.sku: item.quantity for item in cart.items}
    now = datetime.now(UTC)
    stock = await LOCK(connection, skus=list(wanted))
    missing = [product["sku"] for product in stock if product["on_hand"] < wanted[product["sku"]]]
    rows = await OPEN(
        connection,
        id=new_order_id(),
        checkout_key=key,
        fingerprint=cart_fingerprint([CartLine(*line) for line in wanted.items()], None),
        status="rejected" if missing else "pending",
        reason="out_of_stock" if missing else None,
        missing_skus=missing or None,
        email=None,
        client=None,
        amount_total=sum(product["unit_amount"] * wanted[product["sku"]] for product in stock),
        currency=stock[0]["currency"],
        opened_at=now,
        expires_at=now + timedelta(seconds=settings.payment_timeout),
        skus=[product["sku"] for product in stock],
        quantities=[wanted[product["sku"]] for product in stock],
        unit_amounts=[product["unit_amount"] for product in stock],
    )
    return (rows or await FIND(connection, checkout_key=key))[0]


async def open_session(order: Any, cart: Cart) -> Any:
    """The order's row with its session, asked for at the payment service."""
    names = dict(await app.state.pool.fetch(NAMES, [item.sku for item in cart.items]))
    form: dict[str, Any] = {
        "mode": "payment",
        "client_reference_id": order["checkout_key"],
        "metadata[order_id]": order["id"],
        "payment_intent_data[metadata][order_id]": order["id"],
        "success_url": f"{settings.public_url}/checkout/success",
        "cancel_url": f"{settings.public_url}/checkout/cancel",
    }
    for index, item in enumerate(cart.items):
        line = f"line_items[{index}]"
        form |= {f"{line}[quantity]": item.quantity, f"{line}[price_data][currency]": order["currency"]}
        form[f"{line}[price_data][unit_amount]"] = order["amount_total"] // sum(one.quantity for one in cart.items)
        form[f"{line}[price_data][product_data][name]"] = names[item.sku]
    headers = {"Idempotency-Key": session_idempotency_key(order["id"])}
    created = await app.state.stripe.post("/v1/checkout/sessions", data=form, headers=headers)
    session = created.raise_for_status().json()
    known = {"order_id": order["id"], "session_id": session["id"], "url": session["url"], "simulator_url": None}
    return (await RECORD_SESSION(app.state.pool, **known))[0]


@app.post("/checkout/{key}")
async def buy(key: str, cart: Cart) -> dict[str, Any]:
    found = await FIND(app.state.pool, checkout_key=key)
    if found:
        order = found[0]
    else:
        async with app.state.pool.acquire() as connection, connection.transaction():
            order = await reserve(connection, key, cart)
        if order["status"] == "pending":
            order = await open_session(order, cart)
    if order["payment_session_id"] is None:
        raise HTTPException(409, "out of stock")
    return {
        "checkout_key": order["checkout_key"],
        "order_id": order["id"],
        "session_id": order["payment_session_id"],
        "payment_url": order["payment_url"],
        "amount_total": order["amount_total"],
        "currency": order["currency"],
    }


@app.post("/payment_webhook")
async def webhook(request: Request) -> None:
    key = await checkout_key_of(request, settings)
    if key is None:
        return
    order = (await FIND(app.state.pool, checkout_key=key))[0]
    answer = await app.state.stripe.get(f"/v1/checkout/sessions/{order['payment_session_id']}")
    session = answer.raise_for_status().json()
    if session["payment_status"] == "paid":
        await FULFIL(
            app.state.pool,
            order_id=order["id"],
            payment_intent_id=session["payment_intent"],
            dispatch_duration=timedelta(seconds=settings.dispatch_duration),
        )


@app.get("/readyz")
async def ready() -> None: ...


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=settings.api_port, log_level="warning", access_log=False)
