"""The same steps in a handler, with nothing that remembers them: the limit. `python -m bench.peers.bare`.

If the process dies between two steps, stock stays reserved and payments go unnoticed for ever. PostgreSQL is spoken to
through asyncpg and the payment service through httpx, without a library in between.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from typing import Any

import asyncpg
import httpx
import uvicorn
from fastapi import FastAPI

from bench.peers.shop import Items, answer, gateway, opening_of
from checkout.ids import session_idempotency_key
from checkout.orders import Order, OrderStatus
from checkout.sessions import PaymentSession
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
    """Takes the place of SQLAlchemy's connection under the shop's own statements."""

    def __init__(self, where: Any) -> None:
        self._where = where

    async def execute(self, statement: Any, values: dict[str, Any]) -> Rows:
        sql, names = numbered(statement.text)
        return Rows(await self._where.fetch(sql, *(values[name] for name in names)))


@cache
def numbered(sql: str) -> tuple[str, list[str]]:
    """SQLAlchemy's `:names` as asyncpg's `$1`, and the names in that order."""
    names = list(dict.fromkeys(re.findall(r"(?<!:):(\w+)", sql)))
    return re.sub(r"(?<!:):(\w+)", lambda match: f"${names.index(match[1]) + 1}", sql), names


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    dsn, key = settings.database_url.get_secret_value(), settings.stripe_secret_key.get_secret_value()
    async with (
        asyncpg.create_pool(dsn, min_size=2, max_size=8, record_class=Row) as app.state.pool,
        httpx.AsyncClient(base_url=api_base(settings), headers={"Authorization": f"Bearer {key}"}) as app.state.stripe,
    ):
        yield


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


async def buy(key: str, items: Items) -> dict[str, Any] | None:
    database: Any = Direct(app.state.pool)
    order = await order_queries.find_by_key(database, key)
    if order is None:
        async with app.state.pool.acquire() as connection, connection.transaction():
            within: Any = Direct(connection)
            order = await opening.open_order(within, opening_of(key, items, settings))
    if order.status is OrderStatus.PENDING:
        order = await open_session(database, order)
    return answer(order)


async def look(key: str) -> None:
    database: Any = Direct(app.state.pool)
    order = await order_queries.find_by_key(database, key)
    if order is None or order.session is None:
        return
    looked = await app.state.stripe.get(f"/v1/checkout/sessions/{order.session.session_id}")
    session = looked.raise_for_status().json()
    if session["payment_status"] == "paid":
        duration = timedelta(seconds=settings.dispatch_duration)
        await orders.fulfil_order(database, order.order_id, session["payment_intent"], duration)


app = gateway(settings, buy, look, lifespan=lifespan)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=settings.api_port, log_level="warning", access_log=False)
