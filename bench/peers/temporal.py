"""The checkout on Temporal as its tutorials teach it: regular activities, everything at its default, a polled query.

`python -m bench.peers.temporal worker` and `… gateway`.
"""

import asyncio
import contextlib
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.worker import Worker

from bench.peers.shop import Cart, Steps, answer, checkout_key_of
from bench.peers.tutorial import Activities, TutorialCheckout
from runtime.connection import connect
from runtime.settings import Settings, load_settings

QUEUE = "tutorial"
POLL = 0.1  # seconds


def gateway(settings: Settings, client: Client) -> FastAPI:
    app = FastAPI()

    @app.post("/checkout/{key}")
    async def buy(key: str, cart: Cart) -> dict[str, Any]:
        items = [(item.sku, item.quantity) for item in cart.items]
        with contextlib.suppress(WorkflowAlreadyStartedError):  # it has ended: its query answers all the same
            await client.start_workflow(
                TutorialCheckout.run,
                args=[key, items, settings.payment_timeout],
                id=key,
                task_queue=QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )
        handle = client.get_workflow_handle(key)
        order = await handle.query(TutorialCheckout.order)
        while order is None:
            await asyncio.sleep(POLL)
            order = await handle.query(TutorialCheckout.order)
        session = answer(order)
        if session is None:
            raise HTTPException(409, "out of stock")
        return session

    @app.post("/payment_webhook")
    async def webhook(request: Request) -> None:
        key = await checkout_key_of(request, settings)
        if key is not None:
            await client.get_workflow_handle(key).signal(TutorialCheckout.payment_event)

    @app.get("/readyz")
    async def ready() -> None: ...

    return app


async def main(role: str) -> None:
    settings = load_settings()
    client = await connect(settings)
    if role == "worker":
        activities = Activities(Steps.of(settings), settings.payment_timeout)
        methods = [
            getattr(activities, name) for name in ("reserve", "open_session", "paid_intent", "fulfil", "release")
        ]
        await Worker(client, task_queue=QUEUE, workflows=[TutorialCheckout], activities=methods).run()
    else:
        app = gateway(settings, client)
        config = uvicorn.Config(app, port=settings.api_port, log_level="warning", access_log=False)
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
