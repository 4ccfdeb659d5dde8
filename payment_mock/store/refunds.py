"""Reading refunds. They are written by the transition that guards them (`transitions.refund`)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock.domain.session import Refund, timestamp

_SELECT = """
    SELECT r.id, r.session_id, s.payment_intent, s.charge, r.amount, s.currency, r.reason, r.metadata, r.created_at
    FROM payments.refunds r JOIN payments.sessions s ON s.id = r.session_id
"""
_GET = text(f"{_SELECT} WHERE r.id = :id")
_LIST = text(f"""{_SELECT}
    WHERE (CAST(:payment_intent AS text) IS NULL OR s.payment_intent = :payment_intent)
      AND (CAST(:charge AS text) IS NULL OR s.charge = :charge)
      AND (CAST(:after AS text) IS NULL OR r.seq < (SELECT seq FROM payments.refunds WHERE id = :after))
    ORDER BY r.seq DESC LIMIT :limit
""")


async def get(connection: AsyncConnection, refund_id: str) -> Refund | None:
    row = (await connection.execute(_GET, {"id": refund_id})).mappings().first()
    return _refund(row) if row else None


async def listed(connection: AsyncConnection, **filters: Any) -> Sequence[Refund]:
    """Newest first. Filters: payment_intent, charge, after (None: any), and limit."""
    return [_refund(row) for row in (await connection.execute(_LIST, filters)).mappings()]


def _refund(row: RowMapping) -> Refund:
    fields = dict(row)
    return Refund(created=timestamp(fields.pop("created_at")), **fields)
