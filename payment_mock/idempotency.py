"""Idempotency keys, decided by PostgreSQL (docs.stripe.com/api/idempotent_requests).

- The key's row is unique, and it is committed together with the effect and the answer it stands for: a crash leaves
  either all three or none.
- "In flight" is a transaction-scoped advisory lock, which dies with its connection: nothing can stay stuck.
"""

from dataclasses import asdict, dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from payment_mock.domain.errors import StripeError

# The first key of our advisory locks ("idem"); the second is a hash of the idempotency key. Two keys that share a
# hash only make one of them wait for its retry; the unique row, not the lock, is what decides.
_HOLD = text("SELECT pg_try_advisory_xact_lock(1768187245, hashtext(CAST(:key AS text)))")
_FIND = text("SELECT endpoint, fingerprint, status, body, request_id FROM payments.idempotency_keys WHERE key = :key")
_STORE = text("""
    INSERT INTO payments.idempotency_keys (key, endpoint, fingerprint, status, body, request_id)
    VALUES (:key, :endpoint, :fingerprint, :status, :body, :request_id)
    ON CONFLICT (key) DO UPDATE SET status = excluded.status, body = excluded.body
""")
# Keys are forgotten after 24 hours, as Stripe may.
PRUNE = text("DELETE FROM payments.idempotency_keys WHERE created_at < now() - interval '24 hours'")


class Reply(Exception):
    """Ends an operation with a response that is not its own: one that its key remembers, or a planted fault's."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


@dataclass(frozen=True, slots=True)
class Key:
    """A client's key, and what it was used for."""

    key: str
    endpoint: str
    fingerprint: str
    request_id: str


async def hold(connection: AsyncConnection, key: Key) -> None:
    """Take the key for this transaction. Raises `Reply` if it was used before, or `StripeError` (400, 409)."""
    is_free = await connection.scalar(_HOLD, {"key": key.key})
    answer = await recall(connection, key)
    if answer is not None:
        raise Reply(answer)
    if not is_free:
        raise StripeError(
            409,
            "idempotency_error",
            "There is currently another in-progress request using this Idempotent Key (that probably means you "
            f"submitted twice, and the other request is still going through): {key.key}. Please try again later.",
            code="idempotency_key_in_use",
        )


async def recall(connection: AsyncConnection, key: Key) -> Response | None:
    """The stored answer. Raises `StripeError` (400) for other parameters or another endpoint."""
    row = (await connection.execute(_FIND, {"key": key.key})).first()
    if row is None:
        return None
    if row.endpoint != key.endpoint:
        raise _mismatch(key, "endpoint")
    if row.fingerprint != key.fingerprint:
        raise _mismatch(key, "parameters")
    again = {"stripe-should-retry": "false"} if row.status >= 500 else {}
    headers = {"idempotent-replayed": "true", "original-request": row.request_id, **again}
    return Response(bytes(row.body), row.status, headers, "application/json")


def _mismatch(key: Key, what: str) -> StripeError:
    return StripeError(
        400,
        "idempotency_error",
        f"Keys for idempotent requests can only be used with the same {what} they were first used with. "
        f"Try using a key other than '{key.key}' if you meant to execute a different request.",
    )


async def store(connection: AsyncConnection, key: Key, answer: Response) -> None:
    """Remember an answer, in the place of one that was there."""
    await connection.execute(_STORE, {**asdict(key), "status": answer.status_code, "body": bytes(answer.body)})
