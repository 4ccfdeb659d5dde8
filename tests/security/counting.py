"""How much there is: what must not change when something was refused."""

import asyncio

import asyncpg
from temporalio.client import Client

from checkout.ids import CHECKOUT_WORKFLOW, SETTLEMENT_WORKFLOW
from runtime.connection import connect
from runtime.settings import load_settings
from stack.stack import Stack

_TABLES = ("products", "orders", "order_lines", "reservations", "stock_movements", "order_events")


async def counts(stack: Stack) -> dict[str, int]:
    """Rows by table, pieces on hand, and the workflows that customers and events have started."""
    connection = await asyncpg.connect(stack.database_url)
    try:
        rows = {name: await connection.fetchval(f"SELECT count(*) FROM shop.{name}") for name in _TABLES}
        rows["on_hand"] = await connection.fetchval("SELECT sum(on_hand)::bigint FROM shop.products")
    finally:
        await connection.close()
    client = await connect(load_settings(CHECKOUT_TEMPORAL_PORT=str(stack.config.settings.temporal_port)))
    return rows | {"workflows": await _started(client)}


async def _started(client: Client) -> int:
    """Temporal's listing lags: asked until it has said the same for a while."""
    last, said = -1, 0
    while said < 4:
        found = await client.count_workflows(f"WorkflowType IN ('{CHECKOUT_WORKFLOW}', '{SETTLEMENT_WORKFLOW}')")
        said = said + 1 if found.count == last else 0
        last = found.count
        await asyncio.sleep(0.25)
    return last
