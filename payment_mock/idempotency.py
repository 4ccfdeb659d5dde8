"""Idempotency keys, decided by PostgreSQL (docs.stripe.com/api/idempotent_requests): a key's row is unique, and is
committed with the effect and the answer it stands for. "In flight" is a lock that dies with its transaction."""

from dataclasses import asdict, dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from payment_mock.domain.errors import StripeError

# The first key of our advisory locks ("idem"); the second is a hash of the idempotency key. Two keys that share a
# hash only make one of them wait for its retry; the unique row, not the lock, is what decides, also where one request
# takes the lock just after the row of another was committed and does not see it yet.
_HOLD = text("""
    SELECT pg_try_advisory_xact_lock(1768187245, hashtext(CAST(:key AS text))) AS is_free, known.*
    FROM (VALUES (1)) AS one LEFT JOIN payments.idempotency_keys known ON known.key = :key
""")
_STORE = text("""
    INSERT INTO payments.idempotency_keys AS known (key, endpoint, fingerprint, status, body, request_id)
    VALUES (:key, :endpoint, :fingerprint, :status, :body, :request_id)
    ON CONFLICT (key) DO UPDATE SET status = excluded.status, body = excluded.body
    WHERE known.request_id = excluded.request_id RETURNING key
""")
# Keys are forgotten after 24 hours, as Stripe may.
PRUNE = text("DELETE FROM payments.idempotency_keys WHERE created_at < now() - interval '24 hours'")


class Reply(Exception):
    """Ends an operation with a response that is not its own: one that its key remembers, or a planted fault's, which
    the key is to remember if it `is_sticky`."""

    def __init__(self, response: Response, *, is_sticky: bool = False) -> None:
        super().__init__(response.status_code)
        self.response, self.is_sticky = response, is_sticky


@dataclass(frozen=True, slots=True)
class Key:
    """A client's key, and what it was used for."""

    key: str
    endpoint: str
    fingerprint: str
    request_id: str


async def hold(connection: AsyncConnection, key: Key) -> None:
    """Take the key for this transaction. Raises `StripeError` (409) if it is in use, and as `recall`."""
    if not await recall(connection, key):
        raise _in_use(key)


async def recall(connection: AsyncConnection, key: Key) -> bool:
    """Raises the stored answer (`Reply`), or `StripeError` (400) for other parameters or another endpoint. Without any:
    whether the key was free; it is ours until the transaction ends."""
    row = (await connection.execute(_HOLD, {"key": key.key})).one()
    if row.key is None:
        return bool(row.is_free)
    if (row.endpoint, row.fingerprint) != (key.endpoint, key.fingerprint):
        what = "parameters" if row.endpoint == key.endpoint else "endpoint"
        raise StripeError(
            400,
            "idempotency_error",
            f"Keys for idempotent requests can only be used with the same {what} they were first used with. "
            f"Try using a key other than '{key.key}' if you meant to execute a different request.",
        )
    again = {"stripe-should-retry": "false"} if row.status >= 500 else {}
    headers = {"idempotent-replayed": "true", "original-request": row.request_id, **again}
    raise Reply(Response(bytes(row.body), row.status, headers, "application/json"))


async def store(connection: AsyncConnection, key: Key, answer: Response) -> None:
    """Remember an answer, or another to the same request. Raises `StripeError` (409) if another request was first."""
    values = {**asdict(key), "status": answer.status_code, "body": bytes(answer.body)}
    if (await connection.execute(_STORE, values)).first() is None:
        raise _in_use(key)


def _in_use(key: Key) -> StripeError:
    return StripeError(
        409,
        "idempotency_error",
        "There is currently another in-progress request using this Idempotent Key (that probably means you "
        f"submitted twice, and the other request is still going through): {key.key}. Please try again later.",
        code="idempotency_key_in_use",
    )
