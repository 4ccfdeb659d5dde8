"""The checkout on Temporal as its tutorials teach it: regular activities, everything at its default, a polled query.

`python -m bench.peers.temporal worker` and `… gateway`.
"""

import asyncio
import contextlib
import sys
from typing import Any

import uvicorn
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.worker import Worker

from bench.peers.shop import Items, Steps, answer, gateway
from bench.peers.tutorial import TutorialCheckout
from runtime.connection import connect
from runtime.settings import Settings, load_settings

QUEUE = "tutorial"
POLL = 0.1  # seconds


async def work(settings: Settings, client: Client) -> None:
    steps = Steps(settings)
    await Worker(
        client,
        task_queue=QUEUE,
        workflows=[TutorialCheckout],
        activities=[steps.reserve, steps.open_session, steps.paid_intent, steps.fulfil, steps.release],
    ).run()


async def serve(settings: Settings, client: Client) -> None:
    async def buy(key: str, items: Items) -> dict[str, Any] | None:
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
        return answer(order)

    async def look(key: str) -> None:
        await client.get_workflow_handle(key).signal(TutorialCheckout.payment_event)

    app = gateway(settings, buy, look)
    config = uvicorn.Config(app, port=settings.api_port, log_level="warning", access_log=False)
    await uvicorn.Server(config).serve()


async def main(role: str) -> None:
    settings = load_settings()
    await {"worker": work, "gateway": serve}[role](settings, await connect(settings))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
