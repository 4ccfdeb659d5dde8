"""The checkout on DBOS, as its guide builds it: an asynchronous workflow of steps, an event, a message.

The workflow's state is in the shop's own PostgreSQL; there is no other server. `python -m bench.peers.dbos`.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import uvicorn
from dbos import DBOS, DBOSConfig, SetWorkflowID
from fastapi import FastAPI, HTTPException, Request

from bench.peers.shop import Cart, Steps, answer, checkout_key_of
from checkout.orders import Order
from runtime.settings import load_settings

SESSION, PAYMENT = "session", "payment"

settings = load_settings()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    config: DBOSConfig = {
        "name": "checkout",
        "system_database_url": settings.database_url.get_secret_value(),
        "application_version": "1",
        "executor_id": f"process-{os.getpid()}",
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    yield
    DBOS.destroy()


app = FastAPI(lifespan=lifespan)
steps = Steps.of(settings)


@DBOS.step(retries_allowed=True)
async def reserve(key: str, items: list[tuple[str, int]]) -> Order:
    return await steps.reserve(key, items, datetime.now(UTC), settings.payment_timeout)


@DBOS.step(retries_allowed=True)
async def open_session(order: Order) -> Order:
    return await steps.open_session(order)


@DBOS.step(retries_allowed=True)
async def paid_intent(session_id: str) -> str | None:
    return await steps.paid_intent(session_id)


@DBOS.step(retries_allowed=True)
async def fulfil(order_id: str, payment_intent_id: str) -> str:
    return await steps.fulfil(order_id, payment_intent_id)


@DBOS.step(retries_allowed=True)
async def release(order: Order) -> str:
    return await steps.release(order)


@DBOS.workflow()
async def checkout(key: str, items: list[tuple[str, int]]) -> str:
    order = await reserve(key, items)
    if order.reason is not None:
        await DBOS.set_event_async(SESSION, None)
        return str(order.status)
    order = await open_session(order)
    await DBOS.set_event_async(SESSION, answer(order))
    assert order.session is not None
    if await DBOS.recv_async(PAYMENT, timeout_seconds=settings.payment_timeout):
        intent = await paid_intent(order.session.session_id)
        if intent is not None:
            return await fulfil(order.order_id, intent)
    return await release(order)


@app.post("/checkout/{key}")
async def buy(key: str, cart: Cart) -> dict[str, Any]:
    with SetWorkflowID(key):
        handle = await DBOS.start_workflow_async(checkout, key, [(item.sku, item.quantity) for item in cart.items])
    session: dict[str, Any] | None = await DBOS.get_event_async(handle.workflow_id, SESSION)
    if session is None:
        raise HTTPException(409, "out of stock")
    return session


@app.post("/payment_webhook")
async def webhook(request: Request) -> None:
    key = await checkout_key_of(request, settings)
    if key is not None:
        await DBOS.send_async(key, "look", PAYMENT)


@app.get("/readyz")
async def ready() -> None: ...


if __name__ == "__main__":
    # One process per core: with one, its interpreter is the limit while half of the machine idles.
    module, cores = "bench.peers.dbos:app", min(2, os.cpu_count() or 1)
    uvicorn.run(module, port=settings.api_port, workers=cores, log_level="warning", access_log=False)
