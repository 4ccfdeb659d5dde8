"""What a checkout costs the servers: database transactions, events in its history. Best effort, None when unknown."""

import asyncio
from urllib.parse import quote

from bench.http import Connection, HTTPFailed
from bench.target import Target
from bench.watch import plain_database_url

_TRANSACTIONS = """
SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()
"""


async def transactions(target: Target) -> int | None:
    """Transactions of the shop's database so far (PostgreSQL's statistics lag about a second behind)."""
    if not target.database_url:
        return None
    import asyncpg

    try:
        connection = await asyncpg.connect(plain_database_url(target.database_url), timeout=5)
        try:
            return int(await connection.fetchval(_TRANSACTIONS))
        finally:
            await connection.close(timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return None


async def history_length(target: Target, keys: list[str]) -> float | None:
    """Events in the history of a checkout's workflow, the mean of a few, asked of Temporal's web UI."""
    if not target.temporal_ui_url or not target.temporal_ui_url.startswith("http://"):
        return None
    lengths = []
    async with Connection(target.temporal_ui_url, timeout=5) as ui:
        for key in keys[-3:]:
            try:
                answer = await ui.request("GET", f"/api/v1/namespaces/default/workflows/{quote(key, safe='')}")
                lengths.append(int(answer.json()["workflowExecutionInfo"]["historyLength"]))
            except (HTTPFailed, ValueError, KeyError, TypeError):
                return None
            await asyncio.sleep(0)
    return sum(lengths) / len(lengths) if lengths else None
