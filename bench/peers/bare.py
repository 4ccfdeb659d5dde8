"""The same steps in a handler, with nothing that remembers them: the limit. `python -m bench.peers.bare`.

If the process dies between two steps, stock stays reserved and payments go unnoticed for ever. PostgreSQL is spoken to
through asyncpg and the payment service through httpx, without a library in between.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import asyncpg
import httpx
import uvicorn
from fastapi import FastAPI, HTTPException, Request

from bench.peers.shop import Cart, answer, checkout_key_of
from checkout.contracts import OpenOrderInput
from checkout.ids import session_idempotency_key
from checkout.orders import CartLine, Order, OrderStatus, cart_fingerprint
from checkout.payments import PaymentSession
from db import opening, order_queries, orders
from runtime.egress import api_base
from runtime.settings import load_settings

settings = load_settings()


class Row(asyncpg.Record):  # type: ignore[misc] # asyncpg has no types
    def __getattr__(self, name: str) -> Any:
        return self[name]


class Rows(list[Any]):
    def all(self) -> list[Any]:
        return self

    def one_or_none(self) -> Any:
        return self[0] if self else None


class Direct:
    """Takes the place of SQLAlchemy's connection under the shop's own statements: their `:names` become `$1`."""

    _known: ClassVar[dict[int, tuple[str, list[str]]]] = {}

    def __init__(self, where: Any) -> None:
        self._where = where

    async def execute(self, statement: Any, values: dict[str, Any]) -> Rows:
        if id(statement) not in self._known:
            names = list(dict.fromkeys(re.findall(r"(?<!:):(\w+)", statement.text)))
            numbered = re.sub(r"(?<!:):(\w+)", lambda match: f"${names.index(match[1]) + 1}", statement.text)
            self._known[id(statement)] = numbered, names
        sql, names = self._known[id(statement)]
        return Rows(await self._where.fetch(sql, *(values[name] for name in names)))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    dsn, key = settings.database_url.get_secret_value(), settings.stripe_secret_key.get_secret_value()
    async with (
        asyncpg.create_pool(dsn, min_size=2, max_size=8, record_class=Row) as app.state.pool,
        httpx.AsyncClient(base_url=api_base(settings), headers={"Authorization": f"Bearer {key}"}) as app.state.stripe,
    ):
        yield


app = FastAPI(lifespan=lifespan)


async def open_session(database: Any, order: Order) -> Order:
    """Have the payment service open a session, and write it down."""
    form: dict[str, Any] = {
        "mode": "payment",
        "client_reference_id": order.checkout_key,
        "metadata[order_id]": order.order_id,
        "payment_intent_data[metadata][order_id]": order.order_id,
        "success_url": f"{settings.public_url}/checkout/success",
        "cancel_url": f"{settings.public_url}/checkout/cancel",
    }
    wanted = await order_queries.session_request(database, order)
    for index, line in enumerate(wanted.lines):
        price = f"line_items[{index}][price_data]"
        form |= {f"line_items[{index}][quantity]": line.quantity, f"{price}[currency]": order.currency}
        form |= {f"{price}[unit_amount]": line.unit_amount, f"{price}[product_data][name]": line.name}
    headers = {"Idempotency-Key": session_idempotency_key(order.order_id)}
    created = await app.state.stripe.post("/v1/checkout/sessions", data=form, headers=headers)
    session = created.raise_for_status().json()
    return await orders.record_session(database, order.order_id, PaymentSession(session["id"], session["url"]))


@app.post("/checkout/{key}")
async def buy(key: str, cart: Cart) -> dict[str, Any]:
    database: Any = Direct(app.state.pool)
    order = await order_queries.find_by_key(database, key)
    if order is None:
        lines = [CartLine(item.sku, item.quantity) for item in cart.items]
        now = datetime.now(UTC)
        until = now + timedelta(seconds=settings.payment_timeout)
        async with app.state.pool.acquire() as connection, connection.transaction():
            request = OpenOrderInput(key, lines, cart_fingerprint(lines, None), now, until)
            order = await opening.open_order(Direct(connection), request)  # type: ignore[arg-type] # acts like one
    if order.status is OrderStatus.PENDING:
        order = await open_session(database, order)
    session = answer(order)
    if session is None:
        raise HTTPException(409, "out of stock")
    return session


@app.post("/payment_webhook")
async def webhook(request: Request) -> None:
    database: Any = Direct(app.state.pool)
    key = await checkout_key_of(request, settings)
    order = await order_queries.find_by_key(database, key) if key is not None else None
    if order is None or order.session is None:
        return
    looked = await app.state.stripe.get(f"/v1/checkout/sessions/{order.session.session_id}")
    session = looked.raise_for_status().json()
    if session["payment_status"] == "paid":
        duration = timedelta(seconds=settings.dispatch_duration)
        await orders.fulfil_order(database, order.order_id, session["payment_intent"], duration)


@app.get("/readyz")
async def ready() -> None: ...


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=settings.api_port, log_level="warning", access_log=False)
