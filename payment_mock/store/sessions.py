"""Reading and creating sessions."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock.domain.session import Session, line_items_of, timestamp
from payment_mock.store.idempotency import CLAIMED

COLUMNS = """id, status, payment_status, amount_total, amount_refunded, currency, line_items, client_reference_id,
    metadata, payment_intent_metadata, customer_email, payment_method_types, success_url, cancel_url, webhook_url,
    created_at, expires_at, payment_intent, charge, decline_code, paid_at"""

_INSERT = """
INSERT INTO payments.sessions (id, amount_total, currency, line_items, client_reference_id, metadata,
    payment_intent_metadata, customer_email, payment_method_types, success_url, cancel_url, webhook_url,
    created_at, expires_at)
SELECT CAST(:id AS text), CAST(:amount_total AS bigint), CAST(:currency AS text), CAST(:line_items AS jsonb),
    CAST(:client_reference_id AS text), CAST(:metadata AS jsonb), CAST(:payment_intent_metadata AS jsonb),
    CAST(:customer_email AS text), CAST(:payment_method_types AS text[]), CAST(:success_url AS text),
    CAST(:cancel_url AS text), CAST(:webhook_url AS text), to_timestamp(CAST(:created AS bigint)),
    to_timestamp(CAST(:expires_at AS bigint))
"""
_CREATE = text(f"{_INSERT} RETURNING id")
_CREATE_ONCE = text(f"WITH {CLAIMED} {_INSERT} FROM claimed RETURNING id")
_GET = text(f"SELECT {COLUMNS} FROM payments.sessions WHERE id = :id")
_GET_BY_INTENT = text(f"SELECT {COLUMNS} FROM payments.sessions WHERE payment_intent = :id")
_GET_BY_CHARGE = text(f"SELECT {COLUMNS} FROM payments.sessions WHERE charge = :id")
_DUE = text(
    f"SELECT {COLUMNS} FROM payments.sessions WHERE status = 'open' AND expires_at <= now() "
    "ORDER BY expires_at LIMIT 100"
)
_LIST = text(f"""
    SELECT {COLUMNS} FROM payments.sessions
    WHERE (CAST(:status AS text) IS NULL OR status = :status)
      AND (CAST(:payment_intent AS text) IS NULL OR payment_intent = :payment_intent)
      AND (CAST(:after AS text) IS NULL OR seq < (SELECT seq FROM payments.sessions WHERE id = :after))
      AND (CAST(:since AS bigint) IS NULL OR created_at >= to_timestamp(CAST(:since AS bigint)))
      AND (CAST(:until AS bigint) IS NULL OR created_at < to_timestamp(CAST(:until AS bigint)))
    ORDER BY seq DESC LIMIT :limit
""")


async def create(connection: AsyncConnection, session: Session, claim: Mapping[str, Any] | None) -> bool:
    """Store a session and, in the same statement, the answer under its idempotency key.

    False: the key is taken (answered before, or in flight) and nothing was stored.
    """
    values: dict[str, Any] = {
        "id": session.id,
        "amount_total": session.amount_total,
        "currency": session.currency,
        "line_items": json.dumps(
            [
                {"description": item.description, "unit_amount": item.unit_amount, "quantity": item.quantity}
                for item in session.line_items
            ]
        ),
        "client_reference_id": session.client_reference_id,
        "metadata": json.dumps(dict(session.metadata or {})),
        "payment_intent_metadata": json.dumps(dict(session.payment_intent_metadata or {})),
        "customer_email": session.customer_email,
        "payment_method_types": list(session.payment_method_types),
        "success_url": session.success_url,
        "cancel_url": session.cancel_url,
        "webhook_url": session.webhook_url,
        "created": session.created,
        "expires_at": session.expires_at,
    }
    if claim is None:
        return await connection.scalar(_CREATE, values) is not None
    return await connection.scalar(_CREATE_ONCE, {**values, **claim}) is not None


async def get(connection: AsyncConnection, session_id: str) -> Session | None:
    return session_of((await connection.execute(_GET, {"id": session_id})).mappings().first())


async def get_by_intent(connection: AsyncConnection, payment_intent: str) -> Session | None:
    return session_of((await connection.execute(_GET_BY_INTENT, {"id": payment_intent})).mappings().first())


async def get_by_charge(connection: AsyncConnection, charge: str) -> Session | None:
    return session_of((await connection.execute(_GET_BY_CHARGE, {"id": charge})).mappings().first())


async def due(connection: AsyncConnection) -> Sequence[Session]:
    """Open sessions whose time is over, oldest first, at most 100."""
    return [found for row in (await connection.execute(_DUE)).mappings() if (found := session_of(row))]


async def listed(connection: AsyncConnection, **filters: Any) -> Sequence[Session]:
    """Newest first. Filters: status, payment_intent, after, since, until (None: any), and limit."""
    rows = (await connection.execute(_LIST, filters)).mappings()
    return [found for row in rows if (found := session_of(row))]


def session_of(row: RowMapping | None) -> Session | None:
    if row is None:
        return None
    paid_at = row["paid_at"]
    return Session(
        id=row["id"],
        status=row["status"],
        payment_status=row["payment_status"],
        amount_total=row["amount_total"],
        amount_refunded=row["amount_refunded"],
        currency=row["currency"],
        line_items=line_items_of(row["line_items"]),
        client_reference_id=row["client_reference_id"],
        metadata=row["metadata"],
        payment_intent_metadata=row["payment_intent_metadata"],
        customer_email=row["customer_email"],
        payment_method_types=tuple(row["payment_method_types"]),
        success_url=row["success_url"],
        cancel_url=row["cancel_url"],
        webhook_url=row["webhook_url"],
        created=timestamp(row["created_at"]),
        expires_at=timestamp(row["expires_at"]),
        payment_intent=row["payment_intent"],
        charge=row["charge"],
        decline_code=row["decline_code"],
        paid_at=timestamp(paid_at) if paid_at else None,
    )
