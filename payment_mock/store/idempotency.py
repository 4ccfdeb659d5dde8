"""Idempotency keys, decided by PostgreSQL (docs.stripe.com/api/idempotent_requests).

- The key's row is unique, and it is committed together with the effect and the answer it stands for: a crash leaves
  either all three or none.
- "In flight" is a transaction-scoped advisory lock, which dies with its connection: nothing can stay stuck.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock.domain import errors

# The first key of our advisory locks ("idem"); the second is a hash of the idempotency key. Two keys that share a
# hash only make one of them wait for its retry; the unique row, not the lock, is what decides.
_SPACE = 1768187245

CLAIMED = f"""
gate AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock({_SPACE}, hashtext(CAST(:key AS text))) AS is_free
), claimed AS (
    INSERT INTO payments.idempotency_keys (key, endpoint, fingerprint, status, body, request_id)
    SELECT CAST(:key AS text), CAST(:endpoint AS text), CAST(:fingerprint AS text), CAST(:answer_status AS smallint),
        CAST(:answer_body AS bytea), CAST(:request_id AS text)
    FROM gate WHERE is_free
    ON CONFLICT (key) DO NOTHING
    RETURNING key
)
"""
_CLAIM = text(f"WITH {CLAIMED} SELECT key FROM claimed")
_STORE = text(
    "UPDATE payments.idempotency_keys SET status = CAST(:status AS smallint), body = CAST(:body AS bytea) "
    "WHERE key = :key"
)
_FIND = text("SELECT endpoint, fingerprint, status, body, request_id FROM payments.idempotency_keys WHERE key = :key")
_PRUNE = text("DELETE FROM payments.idempotency_keys WHERE created_at < now() - interval '24 hours'")


@dataclass(frozen=True, slots=True)
class Key:
    """A client's key, and what it was used for."""

    key: str
    endpoint: str
    fingerprint: str
    request_id: str

    def claim(self, status: int | None = None, body: bytes | None = None) -> Mapping[str, Any]:
        return {
            "key": self.key,
            "endpoint": self.endpoint,
            "fingerprint": self.fingerprint,
            "request_id": self.request_id,
            "answer_status": status,
            "answer_body": body,
        }


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    status: int
    body: bytes
    original_request: str


async def claim(connection: AsyncConnection, key: Key) -> bool:
    """Take the key for this transaction. False: it is answered already, or another request holds it."""
    return await connection.scalar(_CLAIM, key.claim()) is not None


async def store(connection: AsyncConnection, key: Key, status: int, body: bytes) -> None:
    await connection.execute(_STORE, {"key": key.key, "status": status, "body": body})


async def is_known(connection: AsyncConnection, key: Key) -> bool:
    return (await connection.execute(_FIND, {"key": key.key})).first() is not None


async def recall(connection: AsyncConnection, key: Key) -> StoredAnswer:
    """The stored answer of a key that could not be claimed.

    Raises `StripeError`: 400 for other parameters or another endpoint, 409 while the first request is in flight.
    """
    row = (await connection.execute(_FIND, {"key": key.key})).first()
    if row is None:
        raise errors.idempotency_in_use(key.key)
    if row.endpoint != key.endpoint:
        raise errors.idempotency_other_endpoint(key.key, row.endpoint, key.endpoint)
    if row.fingerprint != key.fingerprint:
        raise errors.idempotency_mismatch(key.key)
    return StoredAnswer(row.status, bytes(row.body), row.request_id)


async def prune(connection: AsyncConnection) -> None:
    """Forget keys after 24 hours, as Stripe may."""
    await connection.execute(_PRUNE)
