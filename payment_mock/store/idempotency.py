"""Idempotency keys, decided by PostgreSQL (docs.stripe.com/api/idempotent_requests).

- The key's row is unique, and it is committed together with the effect and the answer it stands for: a crash leaves
  either all three or none.
- "In flight" is a transaction-scoped advisory lock, which dies with its connection: nothing can stay stuck.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock.domain import errors

# The first key of our advisory locks ("idem"); the second is a hash of the idempotency key. Two keys that share a
# hash only make one of them wait for its retry; the unique row, not the lock, is what decides.
_LOCK = "pg_try_advisory_xact_lock(1768187245, hashtext(CAST(:key AS text)))"
_ROW = """
    INSERT INTO payments.idempotency_keys (key, endpoint, fingerprint, status, body, request_id)
    SELECT CAST(:key AS text), CAST(:endpoint AS text), CAST(:fingerprint AS text), CAST(:answer_status AS smallint),
        CAST(:answer_body AS bytea), CAST(:request_id AS text)
"""
# For a statement that does its work only if the key is free, and stores the answer with it.
CLAIMED = f"""
gate AS MATERIALIZED (SELECT {_LOCK} AS is_free), claimed AS (
    {_ROW} FROM gate WHERE is_free ON CONFLICT (key) DO NOTHING RETURNING key
)"""
_HOLD = text(f"SELECT {_LOCK}")
_FIND = text("SELECT endpoint, fingerprint, status, body, request_id FROM payments.idempotency_keys WHERE key = :key")
_STORE = text(f"{_ROW} ON CONFLICT (key) DO UPDATE SET status = excluded.status, body = excluded.body")
_PRUNE = text("DELETE FROM payments.idempotency_keys WHERE created_at < now() - interval '24 hours'")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Key:
    """A client's key, and what it was used for."""

    key: str
    endpoint: str
    fingerprint: str
    request_id: str

    def claim(self, answer: Answer) -> Mapping[str, Any]:
        """The parameters of `CLAIMED`."""
        used = {"endpoint": self.endpoint, "fingerprint": self.fingerprint, "request_id": self.request_id}
        return {"key": self.key, **used, "answer_status": answer.status, "answer_body": answer.body}


class Answered(Exception):
    """The key has an answer already: it is this one."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


async def hold(connection: AsyncConnection, key: Key) -> None:
    """Take the key for this transaction. Raises `Answered`, or `StripeError` as `recall` does."""
    is_free = await connection.scalar(_HOLD, {"key": key.key})
    answer = await recall(connection, key)
    if answer is not None:
        raise Answered(answer)
    if not is_free:
        raise errors.idempotency_in_use(key.key)


async def recall(connection: AsyncConnection, key: Key) -> Answer | None:
    """The stored answer. Raises `StripeError` (400) for other parameters or another endpoint."""
    row = (await connection.execute(_FIND, {"key": key.key})).first()
    if row is None:
        return None
    if row.endpoint != key.endpoint:
        raise errors.idempotency_mismatch(key.key, "endpoint")
    if row.fingerprint != key.fingerprint:
        raise errors.idempotency_mismatch(key.key)
    again = {"stripe-should-retry": "false"} if row.status >= 500 else {}
    headers = {"idempotent-replayed": "true", "original-request": row.request_id, **again}
    return Answer(row.status, bytes(row.body), headers)


async def store(connection: AsyncConnection, key: Key, answer: Answer) -> None:
    """Remember an answer, in the place of one that was there."""
    await connection.execute(_STORE, key.claim(answer))


async def prune(connection: AsyncConnection) -> None:
    """Forget keys after 24 hours, as Stripe may."""
    await connection.execute(_PRUNE)
