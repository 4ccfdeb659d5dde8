"""Reading recorded events."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

_SELECT = """
    SELECT e.id, e.payload, (SELECT count(*) FROM payments.deliveries d
        WHERE d.event_id = e.id AND d.status = 'pending') AS pending
    FROM payments.events e
"""
_GET = text(f"{_SELECT} WHERE e.id = :id")
_LIST = text(f"""{_SELECT}
    WHERE (CAST(:types AS text[]) IS NULL OR e.type = ANY(CAST(:types AS text[])))
      AND (CAST(:after AS text) IS NULL OR e.seq < (SELECT seq FROM payments.events WHERE id = :after))
    ORDER BY e.seq DESC LIMIT :limit
""")


async def get(connection: AsyncConnection, event_id: str) -> dict[str, Any] | None:
    row = (await connection.execute(_GET, {"id": event_id})).mappings().first()
    return _event(row) if row else None


async def listed(connection: AsyncConnection, **filters: Any) -> Sequence[dict[str, Any]]:
    """Newest first. Filters: types, after (None: any), and limit."""
    return [_event(row) for row in (await connection.execute(_LIST, filters)).mappings()]


def _event(row: RowMapping) -> dict[str, Any]:
    """The event as it was sent, but for the count of deliveries still to come."""
    event: dict[str, Any] = json.loads(row["payload"])
    event["pending_webhooks"] = row["pending"]
    return event
