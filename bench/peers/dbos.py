"""The checkout on DBOS, as its guide builds it: an asynchronous workflow of steps, an event, a message.

The workflow's state is in the shop's own PostgreSQL; there is no other server. `python -m bench.peers.dbos`.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from dbos import DBOS, DBOSConfig, SetWorkflowID
from fastapi import FastAPI

from bench.peers.shop import Items, Steps, answer, gateway
from runtime.settings import load_settings

SESSION, PAYMENT = "session", "payment"

settings = load_settings()
steps = Steps(settings)


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


async def step(do: Callable[..., Awaitable[Any]], *arguments: object) -> Any:
    return await DBOS.run_step_async({"retries_allowed": True}, do, *arguments)


@DBOS.workflow()
async def checkout(key: str, items: Items) -> str:
    order = await step(steps.reserve, key, items)
    if order.reason is not None:
        await DBOS.set_event_async(SESSION, None)
        return str(order.status)
    order = await step(steps.open_session, order)
    await DBOS.set_event_async(SESSION, answer(order))
    if await DBOS.recv_async(PAYMENT, timeout_seconds=settings.payment_timeout):
        intent = await step(steps.paid_intent, order.session.session_id)
        if intent is not None:
            return str(await step(steps.fulfil, order.order_id, intent))
    return str(await step(steps.release, order))


async def buy(key: str, items: Items) -> dict[str, Any] | None:
    with SetWorkflowID(key):
        handle = await DBOS.start_workflow_async(checkout, key, items)
    session: dict[str, Any] | None = await DBOS.get_event_async(handle.workflow_id, SESSION)
    return session


async def look(key: str) -> None:
    await DBOS.send_async(key, "look", PAYMENT)


app = gateway(settings, buy, look, lifespan=lifespan)

if __name__ == "__main__":
    # One process per core: with one, its interpreter is the limit while half of the machine idles.
    module, cores = "bench.peers.dbos:app", min(2, os.cpu_count() or 1)
    uvicorn.run(module, port=settings.api_port, workers=cores, log_level="warning", access_log=False)
