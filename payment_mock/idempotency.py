"""Idempotency keys, decided by PostgreSQL (docs.stripe.com/api/idempotent_requests): a key's row is unique, and the
statement that stores an effect stores it as well. What is in flight is in memory, so that nothing can stay stuck; of
two processes at one key, the one whose row comes second has done nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import asyncpg
from starlette.responses import Response

from payment_mock.database import SQL, Database
from payment_mock.domain.errors import StripeError
from payment_mock.domain.objects import Json


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


@asynccontextmanager
async def held(database: Database, key: Key | None, in_flight: set[str]) -> AsyncIterator[None]:
    """Keep a new key among those in flight, and give it the answer of a planted fault that sticks to it. Raises
    `StripeError` (409) if another request has it, and as `recall` if another process was first."""
    if key is None:
        yield
        return
    if key.key in in_flight:
        raise _in_use(key)
    in_flight.add(key.key)
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != "idempotency_keys_pkey":
            raise
        await recall(database, key)
        raise _in_use(key) from None
    except Reply as reply:
        if reply.is_sticky:  # in the place of the answer that was there, or of an effect that never was
            await database.run(SQL["answer_otherwise"], answers=remembered(key, reply.response))
        raise
    finally:
        in_flight.remove(key.key)


async def recall(database: Database, key: Key) -> None:
    """Raises the stored answer (`Reply`), or `StripeError` (400) for other parameters or another endpoint."""
    known = await database.run(SQL["recall"], key=key.key)
    if not known:
        return
    endpoint, fingerprint, status, body, request_id = known[0]
    if (endpoint, fingerprint) != (key.endpoint, key.fingerprint):
        what = "parameters" if endpoint == key.endpoint else "endpoint"
        raise StripeError(
            400,
            "idempotency_error",
            f"Keys for idempotent requests can only be used with the same {what} they were first used with. "
            f"Try using a key other than '{key.key}' if you meant to execute a different request.",
        )
    again = {"stripe-should-retry": "false"} if status >= 500 else {}
    headers = {"idempotent-replayed": "true", "original-request": request_id, **again}
    raise Reply(Response(body, status, headers, "application/json"))


def _in_use(key: Key) -> StripeError:
    return StripeError(
        409,
        "idempotency_error",
        "There is currently another in-progress request using this Idempotent Key (that probably means you "
        f"submitted twice, and the other request is still going through): {key.key}. Please try again later.",
        code="idempotency_key_in_use",
    )


def remembered(key: Key, answer: Response) -> list[Json]:
    """What a statement stores as `answers`."""
    return [asdict(key) | {"status": answer.status_code, "body": bytes(answer.body).decode()}]
